"""Pictures of series for people."""

from pathlib import Path

import numpy as np


def curves(values: np.ndarray, rate: float, sensors: list[int], path: Path) -> None:
    """Write a picture of ``values`` [rows, columns] at ``rate`` Hz: a plot for each sensor, over seconds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 1.6 * len(sensors)), layout="constrained")
    FigureCanvasAgg(figure)
    plots = np.atleast_1d(figure.subplots(len(sensors), sharex=True))
    for plot, columns in zip(plots, np.split(values.T, np.cumsum(sensors)[:-1]), strict=True):
        plot.plot(np.arange(len(values)) / rate, columns.T, linewidth=1)
    plots[-1].set_xlabel("seconds")
    figure.savefig(path, dpi=100, metadata={"Software": None})
