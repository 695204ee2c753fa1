"""Boxes drawn into a picture, for people."""

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

LEAST = 480  # pixels of the longer side of what is drawn
TRUE = "#ffffff"
COLOURS = ("#ffd000", "#00d5ff", "#ff5ad0", "#5aff5a", "#ff8a3c", "#b08cff")  # of the classes in turn
DARK = "#000000"


def boxes(pixels: np.ndarray, truth: Iterable[tuple], found: Iterable[tuple]) -> Image.Image:
    """A picture, uint8 [height, width, 3], enlarged where it is small, with its boxes.

    ``truth`` and ``found`` are rows (y0, x0, y1, x1, class, text), edges in shares of the picture. True boxes are thin
    and white, those that were found are thick and have the colour of their class.
    """
    image = Image.fromarray(pixels)
    times = -(-LEAST // max(image.size))
    image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    height, width = image.height - 1, image.width - 1
    drawn = [(box, COLOURS[int(box[4]) % len(COLOURS)], 3) for box in found] + [(box, TRUE, 1) for box in truth]
    for (y0, x0, y1, x1, *_), colour, wide in drawn:
        draw.rectangle((x0 * width, y0 * height, x1 * width, y1 * height), outline=colour, width=wide)
    for (y0, x0, *_, text), colour, _ in drawn:
        draw.text((x0 * width + 5, y0 * height + 3), text, fill=colour, stroke_width=2, stroke_fill=DARK, font_size=14)
    return image
