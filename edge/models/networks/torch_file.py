"""Weights from a file that PyTorch wrote before version 1.6, read without PyTorch.

Such a file is a few pickles and then the numbers. A pickle may name any function to be called, so this reader knows
four names and refuses all others.
"""

import math
import pickle  # noqa: S403 - only through Weights, which refuses every name but four
import struct
from collections import OrderedDict
from typing import BinaryIO

import numpy as np

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
DAMAGE = (pickle.UnpicklingError, EOFError, LookupError, AttributeError, TypeError, struct.error, ImportError)
MOST = 10**9  # numbers that one storage may have


class Weights(pickle.Unpickler):
    """Reads a pickle that may name an ordered dictionary and tensors of float32 or int64, and nothing else.

    A tensor comes as (key of its storage, offset, shape, strides), all in numbers, not in bytes.
    """

    NAMES = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, shape, strides, *_: (
            storage,
            offset,
            shape,
            strides,
        ),
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.types: dict[str, str] = {}  # storage -> type of its numbers

    def find_class(self, module: str, name: str):
        """What a name stands for; raises UnpicklingError for any but the four."""
        try:
            return self.NAMES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which weights do not need") from None

    def persistent_load(self, pid):
        """The key of a storage, ("storage", type, key, device, count, view)."""
        kind, dtype, key, *_ = pid
        if kind != "storage" or dtype not in ("<f4", "<i8"):
            raise pickle.UnpicklingError(f"it refers to {kind!r}")
        self.types[str(key)] = dtype
        return str(key)


def read(file: BinaryIO) -> dict[str, np.ndarray]:
    """The tensors of a file by name, float32 or int64; raises ValueError where it is none of these files."""
    try:
        header = [Weights(file).load() for _ in range(3)]  # magic number, version, byte order and sizes
        if header[:2] != [MAGIC, VERSION] or not header[2]["little_endian"]:
            raise ValueError("its header is another")
        reader = Weights(file)
        tensors = reader.load()
        storages = {str(key): _storage(file, reader.types[str(key)]) for key in Weights(file).load()}
        return {str(name): _tensor(storages, *tensor) for name, tensor in tensors.items()}
    except (
        pickle.UnpicklingError,
        EOFError,
        LookupError,
        AttributeError,
        TypeError,
        struct.error,
        ImportError,
    ) as error:
        raise ValueError(f"not a file of PyTorch weights: {error}") from None


def _storage(file: BinaryIO, dtype: str) -> np.ndarray:
    """The numbers of one storage, after their count."""
    (count,) = struct.unpack("<q", file.read(8))
    if not 0 <= count <= MOST:
        raise ValueError(f"a storage of {count} numbers")
    data = file.read(count * np.dtype(dtype).itemsize)
    return np.frombuffer(data, dtype, count)


def _tensor(storages: dict[str, np.ndarray], key: str, offset: int, shape: tuple, strides: tuple) -> np.ndarray:
    """The part of a storage that a tensor is; raises ValueError where it would reach out of the storage."""
    storage = storages[key]
    steps = [(side - 1) * stride for side, stride in zip(shape, strides, strict=True)]
    if min((offset, *shape, *strides)) < 0 or offset + sum(steps) >= len(storage) or math.prod(shape) > len(storage):
        raise ValueError(f"a tensor {shape} that reaches out of its storage")
    size = storage.itemsize
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, [size * stride for stride in strides])
