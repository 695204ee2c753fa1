"""Prepared data: a few memory-mapped arrays a split, and a spec that says what they mean."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device.tensors import model_input
from edge.core.errors import UserError

DAMAGE = (ValueError, EOFError, KeyError, TypeError, RecursionError)  # of a prepared file that is read
SPLITS = ("train", "val", "test", "calibration")


@dataclass(frozen=True)
class Tensor:
    """One end of a model: its name in the graph, its shape without the batch axis, and its ``dtype`` there.

    An input is stored as integers. A float32 input is the stored integers times ``scale``; an int8 or uint8 input, as a
    model from elsewhere may have, is the stored integers as they are.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    scale: float = 1.0


@dataclass(frozen=True)
class Spec:
    """What goes into a model and what comes out.

    ``labels`` are the names of the classes in the order of their indices, empty for a regression. ``metadata`` travels
    inside every artifact: sample rate, anchors, vocabulary.
    """

    input: Tensor
    output: Tensor
    labels: tuple[str, ...]
    metadata: dict

    def entries(self) -> dict:
        """What a model file says of its data: metadata, labels, input and output, their shapes with the batch axis."""
        ends = {end: dataclasses.asdict(getattr(self, end)) for end in ("input", "output")}
        ends = {end: fields | {"shape": ["batch", *fields["shape"]]} for end, fields in ends.items()}
        return self.metadata | {"labels": list(self.labels)} | ends

    def save(self, folder: Path) -> None:
        """Write spec.json."""
        (folder / "spec.json").write_text(
            json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )


@dataclass(frozen=True)
class Split:
    """One split: ``x`` [n, *shape] integers on disk; ``y`` [n, …] what is true, numbers that the task's head reads.

    ``y`` of a classification is the index of the label, int64 [n]; of a detection the boxes, float32 [n, most, 5]; of a
    regression the values, float32 [n, 1 + steps]. ``input`` says what a model takes.
    """

    x: np.ndarray
    y: np.ndarray
    input: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def inputs(self, rows: slice | np.ndarray) -> np.ndarray:
        """Model inputs [rows, *shape]; mapped anew each time, so pages once read do not stay in memory."""
        x = self.x
        if isinstance(x, np.memmap):
            x = np.memmap(x.filename, x.dtype, "r", x.offset, x.shape)
        return model_input(x[rows], self.input.scale, self.input.dtype)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Model inputs in order, at most ``size`` rows in memory at a time."""
        for start in range(0, len(self), size):
            yield self.inputs(slice(start, start + size))


def share(text: str, purpose: str) -> float:
    """A number in 0…1 that depends on ``text`` and ``purpose`` alone: what it decides stays put as data grow."""
    return int(hashlib.sha256(f"{purpose}:{text}".encode()).hexdigest()[:8], 16) / 2**32


def load_spec(folder: Path) -> Spec:
    """Read spec.json of a prepared folder; raises UserError where it is damaged."""
    path = folder / "spec.json"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        ends = {end: Tensor(**fields[end] | {"shape": tuple(fields[end]["shape"])}) for end in ("input", "output")}
        return Spec(**ends, labels=tuple(fields["labels"]), metadata=fields["metadata"])
    except DAMAGE as error:
        raise damaged(path, error) from None


def load(folder: Path, split: str) -> Split:
    """Open one split without reading it; raises UserError where it is empty or damaged."""
    path = folder / f"{split}.x.npy"
    try:
        x = np.load(path, mmap_mode="r", allow_pickle=False)
        rows = len(x)
        path = folder / f"{split}.y.npy"
        y = np.load(path, mmap_mode="r", allow_pickle=False)
        if len(y) != rows:
            raise ValueError(f"it has {len(y)} labels for {rows} examples")
    except DAMAGE as error:
        raise damaged(path, error) from None
    if rows == 0:
        raise UserError(f"{folder}/{split}.x.npy holds no examples: collect more or change the split in the config")
    return Split(x, y, load_spec(folder).input)


def damaged(path: Path, error: Exception) -> UserError:
    """The one line for a prepared file that cannot be what preprocess wrote."""
    return UserError(f"{path} is damaged ({type(error).__name__}: {error}): run `dvc repro --force preprocess`")
