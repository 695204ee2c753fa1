"""Any picture becomes uint8 RGB, upright; what is none is refused with a reason."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from edge.modalities.vision import pictures
from tests.edge.modalities.vision.files import bomb, encode, noise, png, turned

NOISE = noise()
KINDS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


def refused(data: bytes) -> str:
    """The reason for which the bytes are not read."""
    with pytest.raises(pictures.Unreadable) as error:
        pictures.read(data)
    return error.value.reason


@pytest.mark.parametrize("kind", ["BMP", "PNG", "PPM", "TIFF"])
def test_plain_colour_comes_as_it_is(kind):
    """A picture of a lossless kind is read to the pixel and counts as not converted."""
    picture = pictures.read(encode(NOISE, kind))
    assert np.array_equal(picture.pixels, NOISE)
    assert picture[1:] == ("", (40, 60))


@pytest.mark.parametrize(
    ("mode", "kind", "change"),
    [
        ("L", "PNG", "grey"),
        ("1", "PNG", "grey"),
        ("P", "PNG", "palette"),
        ("RGBA", "PNG", "alpha"),
        ("LA", "PNG", "alpha"),
        ("CMYK", "JPEG", "CMYK"),
        ("YCbCr", "TIFF", "colour space"),
    ],
)
def test_other_colours_become_rgb(mode, kind, change):
    """Grey, palette, alpha and CMYK become RGB with the colours that Pillow gives them, and it is said."""
    image = Image.fromarray(NOISE).convert(mode)
    data = encode(image, kind)
    picture = pictures.read(data)
    assert picture.converted == change
    assert np.array_equal(picture.pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_transparent_is_white():
    """What is transparent is white, what is half so is between, also by a palette's transparent entry."""
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = 0, 128, 255
    assert pictures.read(encode(pixels)).pixels[0, :, 0].tolist() == [255, 127, 0]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    picture = pictures.read(encode(palette, transparency=0))
    assert picture.converted == "alpha"
    assert picture.pixels.tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_sixteen_bit_are_divided_by_257():
    """Grey of 16 bit ends at 255 where it was 65535; colour of 16 bit counts as converted too."""
    grey = np.array([[0, 256, 257, 65535]], np.uint16)
    picture = pictures.read(encode(grey))
    assert (picture.converted, picture.pixels[0, :, 0].tolist()) == ("16 bit", [0, 0, 1, 255])
    colour = png(1, 1, 16, 2, b"\0" + bytes([255, 255, 128, 128, 0, 0]))
    picture = pictures.read(colour)
    assert (picture.converted, picture.pixels.tolist()) == ("16 bit", [[[255, 128, 0]]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_camera_gives_an_upright_picture(orientation):
    """Each of the eight values of EXIF's orientation gives what Pillow's own function gives; 1 is no conversion."""
    from PIL import ImageOps

    data = turned(NOISE, orientation)
    picture = pictures.read(data)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert np.array_equal(picture.pixels, upright)
    assert picture.size == upright.shape[:2]
    assert picture.converted == ("" if orientation == 1 else "turned")


def test_an_animation_gives_its_first_frame():
    """Of a GIF of 200 frames the first is read, and the memory of the others is not needed."""
    frames = [Image.new("RGB", (200, 200), (number, 0, 0)) for number in range(200)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    pictures.read(data)  # what Pillow loads once
    tracemalloc.start()
    picture = pictures.read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert picture.converted == "animation, palette"
    assert not picture.pixels.any()
    assert peak < 20 * picture.pixels.nbytes


def test_a_bomb_is_refused_before_it_is_decoded():
    """A picture of 40,000 x 40,000 pixels, and one just above the limit, are refused by what their header says."""
    assert refused(bomb()) == pictures.TOO_LARGE
    assert refused(bomb(7072)) == pictures.TOO_LARGE
    with pytest.raises(pictures.Unreadable, match="7072 x 7072 pixels, at most 50 million are read"):
        pictures.read(bomb(7072))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_off_is_refused(kind):
    """A file of each kind, cut in the middle, is cut off or damaged and never half a picture."""
    data = encode(NOISE, kind)
    assert refused(data[: len(data) // 2]) == pictures.DAMAGED


def test_what_is_no_picture_is_refused():
    """0 bytes, text, sound, and a program in PostScript's clothes are refused, each by its reason."""
    assert refused(b"") == pictures.EMPTY
    assert refused(b"label,file\n") == pictures.NOT_A_PICTURE
    assert refused(b"RIFF\x24\0\0\0WAVEfmt ") == pictures.NOT_A_PICTURE
    assert refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n") == pictures.NOT_A_PICTURE


def test_pixels_without_a_range_are_refused():
    """Floating point pixels and integers above 16 bit have no white: they are refused."""
    assert refused(encode(np.ones((2, 2), np.float32), "TIFF")) == pictures.UNSUPPORTED
    assert refused(encode(np.full((2, 2), 70_000, np.int32), "TIFF")) == pictures.UNSUPPORTED


@pytest.mark.filterwarnings("ignore")
def test_random_bytes_never_raise_anything_else():
    """Files with bytes changed at random are read or refused, and no decoder's own error gets out."""
    rng = np.random.default_rng(1)
    for kind in KINDS:
        good = np.frombuffer(encode(NOISE, kind), np.uint8)
        for _ in range(40):
            bad = good.copy()
            bad[rng.integers(0, min(len(bad), 400), 8)] = rng.integers(0, 256, 8)
            try:
                pictures.read(bad.tobytes())
            except pictures.Unreadable as error:
                assert error.reason


def test_a_large_jpeg_is_decoded_smaller():
    """With ``near`` a JPEG comes at a part of its size, not below what is asked, and tells its whole size."""
    data = encode(np.kron(noise(30, 40), np.ones((16, 16, 1), np.uint8)), "JPEG")
    picture = pictures.read(data, near=(100, 100))
    assert picture.pixels.shape == (120, 160, 3)
    assert picture.size == (480, 640)
    assert pictures.read(data).pixels.shape == (480, 640, 3)


def test_a_photo_with_a_second_picture_is_a_photo():
    """What phones write (MPO: a JPEG, then its depth) is no animation, and is decoded smaller as a JPEG is."""
    first, second = (Image.fromarray(np.kron(noise(30, 40, seed), np.ones((8, 8, 1), np.uint8))) for seed in (0, 1))
    data = encode(first, "MPO", save_all=True, append_images=[second])
    picture = pictures.read(data)
    assert picture.converted == ""
    assert np.array_equal(picture.pixels, pictures.read(encode(first, "JPEG")).pixels)
    assert pictures.read(data, near=(100, 100)).pixels.shape == (120, 160, 3)


def test_resize_tells_where_a_point_went():
    """A bright spot is found where scale and offset say, stretched and with its aspect kept."""
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[40:60, 120:140] = 255
    for keep in (False, True):
        resized = pictures.resize(pixels, 50, 50, keep)
        assert resized.pixels.shape == (50, 50, 3)
        y, x = np.array((50, 130)) * resized.scale + resized.offset
        rows, columns = np.nonzero(resized.pixels[..., 0] > 200)
        assert abs(rows.mean() + 0.5 - y) < 0.6
        assert abs(columns.mean() + 0.5 - x) < 0.6


def test_an_aspect_that_is_kept_has_grey_beside_it():
    """A wide picture in a square has equal grey bars above and below, and its own middle."""
    resized = pictures.resize(np.full((10, 20, 3), 200, np.uint8), 40, 40, True)
    assert resized.pixels[:10].min() == resized.pixels[30:].max() == pictures.PADDING
    assert resized.pixels[10:30].min() == 200
    assert resized.scale.tolist() == [2, 2]
    assert resized.offset.tolist() == [10, 0]


def test_the_right_size_is_left_alone():
    """A picture of the wanted size keeps its pixels, and a thin one keeps at least a pixel."""
    assert np.array_equal(pictures.resize(NOISE, 40, 60, True).pixels, NOISE)
    assert pictures.resize(noise(1, 1000), 20, 20, True).pixels.shape == (20, 20, 3)
