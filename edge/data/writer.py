"""Writes prepared data example by example, so that memory does not depend on how many there are."""

import math
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from edge.data.shards import SPLITS


class Array:
    """A .npy file [n, *shape] that is appended to: its header is written again when n is known."""

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]):
        self.path, self.dtype, self.shape, self.count = path, np.dtype(dtype), shape, 0

    def __enter__(self):
        self.file = open(self.path, "wb")  # noqa: SIM115 - closed in __exit__
        self._header()
        return self

    def __exit__(self, *_):
        self.file.seek(0)
        self._header()
        self.file.close()

    def _header(self) -> None:
        """NumPy leaves room for a larger first axis, so every header of this array has the same length."""
        kind = np.lib.format.dtype_to_descr(self.dtype)
        fields = {"descr": kind, "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, fields)

    def add(self, row) -> None:
        """Append one row [*shape]; raises ValueError where its size is another."""
        values = np.asarray(row, self.dtype)
        if values.size != math.prod(self.shape):
            raise ValueError(f"{self.path.name} has rows of shape {self.shape}, this one has {values.shape}")
        self.file.write(values.tobytes())
        self.count += 1


class Splits:
    """``<split>.x.npy`` and ``<split>.y.npy`` of all splits, appended to side by side.

    ``x`` and ``y`` are (dtype, shape of one example). Example: ``with Splits(out, ("uint8", (64, 64, 3)), ("int64",
    ())) as splits: splits.add("train", picture, 3)``.
    """

    def __init__(self, out: Path, x: tuple[str, tuple[int, ...]], y: tuple[str, tuple[int, ...]]):
        self.arrays = {
            split: (Array(out / f"{split}.x.npy", *x), Array(out / f"{split}.y.npy", *y)) for split in SPLITS
        }

    def __enter__(self):
        with ExitStack() as stack:
            for pair in self.arrays.values():
                for array in pair:
                    stack.enter_context(array)
            self._files = stack.pop_all()
        return self

    def __exit__(self, *error):
        self._files.__exit__(*error)

    def add(self, split: str, x, y) -> None:
        """Append one example and what is true of it."""
        for array, row in zip(self.arrays[split], (x, y), strict=True):
            array.add(row)

    @property
    def counts(self) -> dict[str, int]:
        """The number of examples by split."""
        return {split: x.count for split, (x, _) in self.arrays.items()}
