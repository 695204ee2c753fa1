"""Prepared data: a few memory-mapped arrays a split, and a spec that says what they mean."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.core.errors import UserError

SPLITS = ("train", "val", "test", "calibration")


@dataclass(frozen=True)
class Spec:
    """What a model's input and output are.

    ``scale`` turns stored integers into float32 model inputs; ``metadata`` travels inside every artifact.
    """

    input: str
    shape: tuple[int, ...]
    scale: float
    labels: tuple[str, ...]
    metadata: dict

    def save(self, folder: Path) -> None:
        (folder / "spec.json").write_text(json.dumps(self.__dict__, indent=2, sort_keys=True) + "\n")


@dataclass(frozen=True)
class Split:
    """One split: ``x`` [n, *shape] integers on disk, ``y`` [n] label indices."""

    x: np.ndarray
    y: np.ndarray
    scale: float

    def __len__(self) -> int:
        return len(self.x)

    def inputs(self, rows: slice) -> np.ndarray:
        """Model inputs, float32 [rows, *shape]; mapped anew each time, so pages once read do not stay in memory."""
        x = self.x
        if isinstance(x, np.memmap):
            x = np.memmap(x.filename, x.dtype, "r", x.offset, x.shape)
        return x[rows].astype(np.float32) * np.float32(self.scale)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Model inputs in order, at most ``size`` rows in memory at a time."""
        for start in range(0, len(self), size):
            yield self.inputs(slice(start, start + size))


def share(text: str, purpose: str) -> float:
    """A number in 0…1 that depends on ``text`` and ``purpose`` alone: what it decides stays put as data grow."""
    return int(hashlib.sha256(f"{purpose}:{text}".encode()).hexdigest()[:8], 16) / 2**32


def load_spec(folder: Path) -> Spec:
    """Read spec.json of a prepared folder."""
    fields = json.loads((folder / "spec.json").read_text())
    return Spec(**fields | {"shape": tuple(fields["shape"]), "labels": tuple(fields["labels"])})


def load(folder: Path, split: str) -> Split:
    """Open one split without reading it; raises UserError where it is empty."""
    x = np.load(folder / f"{split}.x.npy", mmap_mode="r", allow_pickle=False)
    y = np.load(folder / f"{split}.y.npy", allow_pickle=False)
    if len(x) == 0:
        raise UserError(f"{folder}/{split}.x.npy holds no examples: collect more or change the split in the config")
    return Split(x, y, load_spec(folder).scale)
