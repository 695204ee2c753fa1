"""From uneven stamps to windows: order, gaps, a fixed rate, and windows around a centre."""

from collections.abc import Iterator

import numpy as np

BACKWARDS = 0.01  # share of steps back in time from which a recording is rejected; below it, the rows are sorted
GRAVITY = 9.81  # m/s²
AT_REST = (7.0, 12.0)  # m/s² that an accelerometer at rest may show
QUIETEST = 0.1  # share of the seconds that count as rest


def order(stamps: np.ndarray) -> np.ndarray | None:
    """Indices of rows in order of time, each time once (its first row); None where too many steps go backwards."""
    if len(stamps) > 1 and np.mean(np.diff(stamps) < 0) >= BACKWARDS:
        return None
    rows = np.argsort(stamps, kind="stable")
    return rows[np.diff(stamps[rows], prepend=-np.inf) > 0]


def pieces(stamps: np.ndarray, max_gap: float) -> list[slice]:
    """Runs of rows without a gap above ``max_gap`` seconds between neighbours; ``stamps`` rise."""
    cuts = (np.flatnonzero(np.diff(stamps) > max_gap) + 1).tolist()
    return [slice(*ends) for ends in zip([0, *cuts], [*cuts, len(stamps)], strict=True)]


def resampled(stamps: np.ndarray, values: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """``values`` [n, columns] interpolated to ``rate`` Hz: float32 [m, columns], and the nearest of the n rows to each.

    ``stamps`` rise. Interpolation is linear. The first stamp is the first of the result; nothing is made up after the
    last one.
    """
    count = int((stamps[-1] - stamps[0]) * rate + 1e-6) + 1
    times = stamps[0] + np.arange(count) / rate
    columns = [np.interp(times, stamps, column) for column in values.T]
    nearest = np.searchsorted((stamps[1:] + stamps[:-1]) / 2, times)
    return np.stack(columns, axis=1).astype(np.float32), nearest


def centred(count: int, size: int, hop: int) -> Iterator[np.ndarray]:
    """For every ``hop``-th row the ``size`` rows around it, as indices [size] into ``count`` rows; the ends repeat."""
    for centre in range(0, count, hop):
        yield np.clip(np.arange(centre - size // 2, centre - size // 2 + size), 0, count - 1)


def majority(codes: np.ndarray, size: int) -> tuple[int, float]:
    """The most frequent of the middle ``size`` codes of a window, and its share."""
    start = (len(codes) - size) // 2
    values, counts = np.unique(codes[start : start + size], return_counts=True)
    best = int(np.argmax(counts))
    return int(values[best]), float(counts[best] / size)


def strengths(acceleration: np.ndarray, rate: float) -> np.ndarray:
    """Mean and standard deviation of the acceleration's length in each second: [seconds, 2]; [n, 3] at ``rate`` Hz."""
    size = max(1, round(rate))
    seconds = len(acceleration) // size
    lengths = np.linalg.norm(acceleration[: seconds * size], axis=1).reshape(seconds, size)
    return np.stack([lengths.mean(axis=1), lengths.std(axis=1)], axis=1)


def at_rest(strengths: np.ndarray) -> float:
    """The median length of the acceleration in the quietest tenth of all seconds; ``strengths`` [seconds, 2]."""
    quiet = np.argsort(strengths[:, 1], kind="stable")[: max(1, round(QUIETEST * len(strengths)))]
    return float(np.median(strengths[quiet, 0]))


def unit_warning(found: float) -> str:
    """What to tell a person whose accelerometer at rest shows ``found``; empty where that is gravity in m/s²."""
    if AT_REST[0] <= found <= AT_REST[1]:
        return ""
    return (
        f"the acceleration at rest is {found:.3g}, {GRAVITY} m/s² is expected (ratio {found / GRAVITY:.3g}): "
        "check the unit and that the first sensor is the accelerometer"
    )
