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
    for wide, rows in ((3, found), (1, truth)):
        for y0, x0, y1, x1, label, text in rows:
            colour = TRUE if wide == 1 else COLOURS[int(label) % len(COLOURS)]
            edges = x0 * image.width, y0 * image.height, x1 * image.width - 1, y1 * image.height - 1
            draw.rectangle(edges, outline=DARK, width=wide + 2)
            draw.rectangle(edges, outline=colour, width=wide)
            if text:
                place = edges[0] + 3, max(edges[1] + 2, 0)
                draw.text(place, text, fill=colour, stroke_width=2, stroke_fill=DARK, font_size=13)
    return image
