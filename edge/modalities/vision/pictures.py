"""Reads pictures from bytes that nobody vouches for, and resizes them.

Whatever a file holds, uint8 RGB comes out, upright. What had to be changed on the way is said, so that it can be
counted.
"""

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image

LARGEST = 50 * 10**6  # pixels; a larger picture is refused before it is decoded
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # none that starts a program, as EPS does
SUFFIXES = (".bmp", ".gif", ".jpg", ".jpeg", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
EMPTY, NOT_A_PICTURE, DAMAGED, TOO_LARGE = "empty", "not a picture", "cut off or damaged", "too large"
UNSUPPORTED = "unsupported kind of pixels"
ORIENTATION = 0x0112  # EXIF tag: how the camera was held
UPRIGHT = {  # value of the tag -> what makes the picture upright; 1 is upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = [turn for value, turn in UPRIGHT.items() if value >= 5]
PADDING = 127  # grey beside a picture whose aspect is kept
WIDE = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # modes of 16 bit grey
DAMAGE = (OSError, EOFError, SyntaxError, ValueError, ArithmeticError, TypeError, LookupError, AttributeError)
DAMAGE += (RuntimeError, AssertionError, MemoryError, struct.error, zlib.error)  # what decoders raise of damaged files
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class Unreadable(Exception):
    """Bytes that are no picture which is read: ``reason`` is one of a few, ``detail`` says more."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class Picture(NamedTuple):
    """``pixels``: uint8 RGB [height, width, 3]; ``converted``: what was changed, such as "palette", or "".

    Several changes are joined by ", ": grey, palette, alpha, 16 bit, CMYK, another colour space, turned, animation.
    ``size`` is (height, width) of the whole picture, larger than the pixels where ``read`` was given ``near``.
    """

    pixels: np.ndarray
    converted: str
    size: tuple[int, int]


class Resized(NamedTuple):
    """A resized picture, uint8 [height, width, channels]; a point (y, x) of the old one is at point * scale + offset.

    ``scale`` and ``offset`` are float64 [2]: of y, of x; the unit is a pixel.
    """

    pixels: np.ndarray
    scale: np.ndarray
    offset: np.ndarray


def read(data: bytes, near: tuple[int, int] | None = None) -> Picture:
    """The first picture of a file, upright, as RGB; transparent parts are white.

    ``near`` (height, width) allows a JPEG to be decoded at a half, a quarter or an eighth of its size, never smaller
    than that: a photo of 12 megapixels is then read several times as fast. Raises Unreadable.
    """
    if not data:
        raise Unreadable(EMPTY, "0 bytes")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except BOMBS as error:
        raise Unreadable(TOO_LARGE, str(error)) from None
    except Image.UnidentifiedImageError:
        raise Unreadable(NOT_A_PICTURE) from None
    except DAMAGE as error:
        raise Unreadable(DAMAGED, str(error)) from None
    with image:
        width, height = image.size
        if width * height > LARGEST:
            raise Unreadable(TOO_LARGE, f"{width} x {height} pixels, at most {LARGEST // 10**6} million are read")
        if not width * height:
            raise Unreadable(EMPTY, f"{width} x {height} pixels")
        try:
            return _decoded(image, near)
        except BOMBS as error:
            raise Unreadable(TOO_LARGE, str(error)) from None
        except DAMAGE as error:
            raise Unreadable(DAMAGED, str(error)) from None


def _decoded(image: Image.Image, near: tuple[int, int] | None) -> Picture:
    """Decode an opened file; raises Unreadable or one of DAMAGE."""
    changes = []
    width, height = image.size
    if image.format != "MPO" and getattr(image, "is_animated", False):  # MPO: a photo and its depth, not an animation
        changes.append("animation")
        image.seek(0)
    if near and image.format in ("JPEG", "MPO"):
        image.draft(None, (max(near), max(near)))  # both, since the picture may be turned
    deep = image.mode in WIDE or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    image.load()
    turn = UPRIGHT.get(image.getexif().get(ORIENTATION))
    rgb, change = _rgb(image)
    changes += [change] if change else []
    if deep and change != "16 bit":  # colour of 16 bit: Pillow gives the upper 8
        changes.append("16 bit")
    if turn is not None:
        changes.append("turned")
        rgb = rgb.transpose(turn)
        width, height = (height, width) if turn in SIDEWAYS else (width, height)
    return Picture(np.asarray(rgb), ", ".join(changes), (height, width))


def _rgb(image: Image.Image) -> tuple[Image.Image, str]:
    """The decoded image as RGB, and what was changed."""
    if image.mode in WIDE:
        values = np.asarray(image)
        if image.mode == "I" and (values.min() < 0 or values.max() > 0xFFFF):
            raise Unreadable(UNSUPPORTED, f"grey values from {values.min()} to {values.max()}")
        return Image.fromarray((values // 257).astype(np.uint8)).convert("RGB"), "16 bit"
    if image.mode in ("F", "LAB"):
        raise Unreadable(UNSUPPORTED, image.mode)
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB"), "alpha"
    change = {"RGB": "", "L": "grey", "1": "grey", "P": "palette", "CMYK": "CMYK"}.get(image.mode, "colour space")
    return image.convert("RGB"), change


def resize(pixels: np.ndarray, height: int, width: int, keep_aspect: bool) -> Resized:
    """A picture, uint8 [any height, any width, 3], as [height, width, 3], each pixel the mean of what it covers.

    With ``keep_aspect`` the picture is as large as fits, in the middle, grey beside it; else it is stretched.
    """
    old = np.array(pixels.shape[:2])
    new = np.array((height, width))
    if keep_aspect:
        new = np.clip(np.round(old * (new / old).min()), 1, new).astype(int)
    if (new == old).all():
        inner = pixels
    else:
        inner = np.asarray(Image.fromarray(pixels).resize((int(new[1]), int(new[0])), Image.Resampling.BILINEAR))
    top, left = (height - new[0]) // 2, (width - new[1]) // 2
    if inner.shape[:2] != (height, width):
        around = np.full((height, width, pixels.shape[2]), PADDING, np.uint8)
        around[top : top + new[0], left : left + new[1]] = inner
        inner = around
    return Resized(inner, new / old, np.array((top, left), float))


def grey(pixels: np.ndarray) -> np.ndarray:
    """The luminance of RGB pixels, uint8 [height, width, 1], as ITU-R BT.601 weighs them; grey stays as it is."""
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
