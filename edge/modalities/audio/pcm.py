"""A clip's samples, whoever decoded them."""

from typing import NamedTuple

import numpy as np

DECODED = 256 << 20  # bytes of samples that one clip may have


class Unreadable(Exception):
    """A clip that cannot be read, or not to its end."""


class Pcm(NamedTuple):
    """A clip's samples: little-endian, ``width`` bytes each (1 unsigned, 2 to 4 signed), channels interleaved."""

    rate: int
    channels: int
    width: int
    data: bytes

    @property
    def frames(self) -> int:
        return len(self.data) // (self.channels * self.width)

    @property
    def seconds(self) -> float:
        return self.frames / self.rate

    def samples(self) -> np.ndarray:
        """The upper 16 bits of every sample, int16 [frames * channels]."""
        if self.width == 1:
            return (np.frombuffer(self.data, np.uint8).astype(np.int16) - 128) * np.int16(256)
        return np.frombuffer(self.data, np.uint8).reshape(-1, self.width)[:, -2:].copy().view("<i2")[:, 0]
