"""Weights of an old PyTorch file are read; a file that wants more than weights is refused."""

import io
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from edge.models.networks import torch_file

SIZES = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Named:
    """Something that a pickle names: module, name, and the arguments that it is called with."""

    def __init__(self, module: str, name: str, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class Writer(pickle._Pickler):
    """Writes pickles as PyTorch does: a tensor by the name of its function, a storage by its key."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Named):
            self.write(b"c" + obj.module.encode() + b"\n" + obj.name.encode() + b"\n")
            if obj.arguments:
                super().save(obj.arguments)
                self.write(b"R")
        else:
            super().save(obj, save_persistent_id)

    def persistent_id(self, obj):
        return obj if isinstance(obj, tuple) and obj and obj[0] == "storage" else None


def pickled(*objects) -> bytes:
    """Pickles one after the other."""
    parts = []
    for obj in objects:
        file = io.BytesIO()
        Writer(file, 2).dump(obj)
        parts.append(file.getvalue())
    return b"".join(parts)


def tensor(key: str, count: int, offset: int, shape: tuple, strides: tuple, kind: str = "FloatStorage") -> Named:
    storage = ("storage", Named("torch", kind), key, "cpu", count, None)
    return Named("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, False, OrderedDict())


def file(tensors: dict, storages: dict[str, np.ndarray], header=(torch_file.MAGIC, 1001, SIZES)) -> io.BytesIO:
    numbers = (struct.pack("<q", values.size) + values.tobytes() for values in storages.values())
    return io.BytesIO(pickled(*header, tensors, list(storages)) + b"".join(numbers))


def test_tensors_come_with_shape_and_order():
    """float32 and int64, a part of a storage, and a tensor whose axes are in another order."""
    numbers, counts = np.arange(12, dtype="<f4"), np.array([7], "<i8")
    tensors = {
        "plain": tensor("0", 12, 0, (3, 4), (4, 1)),
        "part": tensor("0", 12, 4, (2, 2), (4, 1)),
        "turned": tensor("0", 12, 0, (4, 3), (1, 4)),
        "count": tensor("1", 1, 0, (), (), "LongStorage"),
    }
    read = torch_file.read(file(tensors, {"0": numbers, "1": counts}))
    assert np.array_equal(read["plain"], numbers.reshape(3, 4))
    assert read["part"].tolist() == [[4, 5], [8, 9]]
    assert np.array_equal(read["turned"], numbers.reshape(3, 4).T)
    assert read["count"] == 7


@pytest.mark.parametrize(
    "named",
    [
        Named("os", "system", "touch stolen"),
        Named("builtins", "eval", "1"),
        Named("torch", "load", "x"),
        Named("collections", "Counter", {}),
        Named("numpy", "ndarray", 10**9),
    ],
)
def test_a_file_that_names_anything_else_is_refused(named, tmp_path, monkeypatch):
    """No function is called but the four that weights need, wherever in the file it is named."""
    monkeypatch.chdir(tmp_path)
    for data in (pickled(named), pickled(torch_file.MAGIC, 1001, SIZES, {"w": named}, [])):
        with pytest.raises(ValueError, match=f"it names {named.module}.{named.name}"):
            torch_file.read(io.BytesIO(data))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (13,), (1,)),
        (1, (12,), (1,)),
        (0, (2, 2), (20, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (99, 99), (0, 0)),
    ],
)
def test_a_tensor_that_reaches_out_is_refused(offset, shape, strides):
    """Nothing outside of a storage is read, and no tensor is larger than its storage."""
    with pytest.raises(ValueError, match="reaches out"):
        torch_file.read(file({"w": tensor("0", 12, offset, shape, strides)}, {"0": np.zeros(12, "<f4")}))


def test_a_torn_or_foreign_file_is_refused():
    """A file that is cut anywhere, an empty one, and a pickle of something else raise ValueError."""
    whole = file({"w": tensor("0", 12, 0, (12,), (1,))}, {"0": np.zeros(12, "<f4")}).getvalue()
    for size in range(0, len(whole), 7):
        with pytest.raises(ValueError):
            torch_file.read(io.BytesIO(whole[:size]))
    for data in (
        pickled("hello", 1, {}),
        pickled(torch_file.MAGIC, 1001, [1]),
        b"PK\3\4",
        whole.replace(b"Float", b"Other"),
    ):
        with pytest.raises(ValueError):
            torch_file.read(io.BytesIO(data))
