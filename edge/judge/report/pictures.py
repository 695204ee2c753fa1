"""The pictures and sounds of a report, as HTML that needs nothing from outside."""

import base64
import hashlib
import io
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import matplotlib.figure
import matplotlib.ticker
import numpy as np
import pandas as pd
from markupsafe import Markup

COLOURS = {"candidate": "#1f7fd1", "baseline": "#c8641b"}  # both stand out from a white and from a dark page
TEXT = "#010203"  # stands for the colour of the page's text, light or dark
STYLE = {"svg.hashsalt": "edge", "svg.fonttype": "none", "font.size": 10, "axes.unicode_minus": False}
STYLE |= {f"{part}.color": TEXT for part in ("text", "xtick", "ytick")}
STYLE |= {"axes.edgecolor": TEXT, "axes.labelcolor": TEXT, "axes.spines.top": False, "axes.spines.right": False}
NOTHING = dict.fromkeys(("Date", "Creator", "Format", "Type"))
BINS = 60


def latency(series: pd.DataFrame, name: str) -> Markup:
    """Measured inferences (columns model, threads, seconds, ms) over time and as a histogram, a row a thread count.

    An SVG with ids of its own for each ``name`` and whose text has the colour of the page. Same rows, same bytes.
    """
    counts = sorted(set(series.threads.tolist()))
    with matplotlib.rc_context(STYLE):
        size = (9, 0.6 + 2.2 * len(counts))
        figure = matplotlib.figure.Figure(size, layout="constrained")
        axes = figure.subplots(len(counts), 2, sharey="row", squeeze=False, width_ratios=[3, 1])
        for (over_time, histogram), count in zip(axes, counts, strict=True):
            rows = series[series.threads == count]
            bins = np.geomspace(rows.ms.min(), rows.ms.max() * 1.0001, BINS)
            for model, colour in COLOURS.items():
                own = rows[rows.model == model]
                seconds = own.seconds - rows.seconds.min()
                over_time.plot(seconds, own.ms, ".", ms=2, color=colour, label=model, rasterized=True)
                histogram.hist(own.ms, bins, orientation="horizontal", histtype="step", color=colour)
            over_time.set(yscale="log", ylabel="ms", title=f"{count} thread{'s' * (count > 1)}")
            over_time.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
            over_time.yaxis.set_major_formatter("{x:g}")
            over_time.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        axes[-1, 0].set_xlabel("seconds")
        axes[-1, 1].set_xlabel("inferences")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2, markerscale=5, frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, dpi=100, metadata=NOTHING)
    svg = text.getvalue().replace(TEXT, "currentColor")
    prefix = f"d{hashlib.sha256(name.encode()).hexdigest()[:8]}-"  # a name may hold what an id may not
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", svg[svg.index("<svg") :])
    alt = f"Latency of candidate and baseline on {name}, over time and as a histogram; the table above has the figures"
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{Markup.escape(alt)}" ', 1))  # noqa: S704


def sound(name: str, content: bytes) -> Markup:
    """A player for a WAV file."""
    return Markup('<audio controls preload="metadata" aria-label="{}" src="{}"></audio>').format(
        name, uri("audio/wav", content)
    )


def picture(name: str, content: bytes) -> Markup:
    """A PNG picture."""
    return Markup('<img alt="{}" src="{}">').format(name, uri("image/png", content))


def words(name: str, content: bytes) -> Markup:
    """A text."""
    return Markup("<pre>{}</pre>").format(content.decode())


MEDIA: dict[str, Callable[[str, bytes], Markup]] = {".wav": sound, ".png": picture, ".txt": words}


def uri(kind: str, content: bytes) -> str:
    """A data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def example(task, x: np.ndarray, y: np.ndarray, output: np.ndarray, spec, title: str) -> Markup:
    """What ``task.show`` writes of a stored example, as HTML; each part is named by its file and ``title``."""
    with tempfile.TemporaryDirectory(prefix="edge-") as folder:
        task.show(x, y, output, spec, Path(folder))
        parts = [(path, path.read_bytes()) for path in sorted(Path(folder).iterdir(), reverse=True)]
    return Markup("").join(MEDIA[path.suffix](f"{path.stem} of {title}", content) for path, content in parts)
