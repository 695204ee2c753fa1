"""A text as a small picture, for those who look at examples."""

import textwrap
from pathlib import Path

import numpy as np

from edge.modalities.text.words import Words

COLUMNS, MOST = 48, 400  # letters of a line and of the picture


def write(text: str, path: Path) -> None:
    """Draw ``text``, wrapped, as a PNG; what is longer than MOST letters is cut. The same text gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = textwrap.wrap(text if len(text) <= MOST else f"{text[:MOST]} …", COLUMNS) or [""]
    figure = Figure(figsize=(4.4, 0.24 * len(rows) + 0.24), dpi=100)
    place = {"x": 0.03, "y": 0.5, "va": "center", "family": "DejaVu Sans Mono", "size": 9, "parse_math": False}
    figure.text(s="\n".join(rows), **place)
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})


def show(indices: np.ndarray, metadata: dict, out: Path) -> None:
    """The words of one stored example, int16 [length], as words.txt and words.png in the folder ``out``."""
    text = Words(metadata).text(indices)
    (out / "words.txt").write_text(f"{text}\n", encoding="utf-8")
    write(text, out / "words.png")
