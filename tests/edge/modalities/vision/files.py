"""Picture files for tests, made here."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def noise(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    """A picture of random pixels: uint8 [height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encode(picture, kind: str = "PNG", **options) -> bytes:
    """The bytes of a file of this kind; ``picture`` is an array or a Pillow image."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG file whose header says these sizes; ``rows`` are what is compressed in it, each after a byte 0."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def bomb(side: int = 40_000) -> bytes:
    """A picture of ``side`` x ``side`` pixels in a few bytes."""
    return png(side, side, 8, 2, b"\0" * 1000)


def turned(picture: np.ndarray, orientation: int) -> bytes:
    """A PNG that says by EXIF how the camera was held."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(picture, exif=exif)
