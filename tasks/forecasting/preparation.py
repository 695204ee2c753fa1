"""From a series to examples: equal steps, no gap bridged, the last part for testing, no window across a border."""

import hashlib
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edge.core.errors import UserError
from edge.data import shards
from edge.data.rejected import Rejected, Table
from edge.data.writer import Splits
from edge.modalities.series import collection, table, windows

BACKWARDS, SHORT = "time goes backwards", "shorter than a window and its horizon"
HEADROOM = 2.0  # the largest value that can be stored, in units of the largest one in training
FINE = 50  # storable steps that a standard deviation should have at least


def series(raw: Path, config, rejected: Rejected) -> tuple[list[np.ndarray], Counter, float]:
    """The pieces of the series between gaps, float32 [n] each, long enough for an example; counts; seconds a step."""
    layout = table.load_layout(raw)
    (row,) = collection.rows(raw / "manifest.csv")
    file, counts, found = row["file"], Counter(), []
    for recording in table.read(raw / row["path"], file, layout, 1.0, rejected):
        order = windows.order(recording.stamps)
        if order is None:
            raise UserError(
                f"{file}: in {layout.time} time goes backwards in {np.mean(np.diff(recording.stamps) < 0):.1%} of the "
                f"steps, at most {windows.BACKWARDS:.0%} are put in order: sort the rows"
            )
        counts["equal_stamps"] += len(recording.stamps) - len(order)
        stamps, values = recording.stamps[order], recording.values[order]
        step = (
            1.0 if layout.time is None else config.step or float(np.median(np.diff(stamps))) if len(stamps) > 1 else 1.0
        )
        parts = windows.pieces(stamps, config.max_gap * step)
        counts["gaps"] += len(parts) - 1
        for part in parts:
            piece, _ = windows.resampled(stamps[part], values[part], 1 / step)
            if len(piece) < config.past + config.horizon:
                rows = part.stop - part.start
                rejected.reject(file, "", SHORT, f"{rows} rows: {len(piece)} steps from {stamps[part][0]:.3f} s on")
                rejected.counts[SHORT] += rows - 1  # counted in rows, as their limit is
            else:
                found.append(piece[:, 0])
                counts["rows"] += part.stop - part.start
        return found, counts, step
    return [], counts, 1.0


def parts(pieces: list[np.ndarray], config) -> dict[str, list[np.ndarray]]:
    """The parts of the pieces in train, val and test, in order of time; raises UserError where one is too short."""
    total, size = sum(map(len, pieces)), config.past + config.horizon
    borders = [round(total * (1 - config.val - config.test)), round(total * (1 - config.test))]
    found, start = {"train": [], "val": [], "test": []}, 0
    for piece in pieces:
        cuts = [min(max(border - start, 0), len(piece)) for border in borders]
        for split, part in zip(found, np.split(piece, cuts), strict=True):
            if len(part) >= size:
                found[split].append(part)
        start += len(piece)
    for split, kept in found.items():
        if not kept:
            raise UserError(
                f"split {split} has no {size} values in a row, as preprocess.past + preprocess.horizon ask for: the "
                f"series has {total} values; collect more, or lower past and horizon, or raise preprocess.{split}"
                if split != "train"
                else f"the series has {total} values, and no {size} in a row for training: collect more, or lower "
                "preprocess.past and preprocess.horizon"
            )
        if not any(np.ptp(part) for part in kept):
            raise UserError(
                f"no value of the series ever changes in split {split}, the naive forecast is perfect: collect "
                "another series"
            )
    return found


def seasonal(x: np.ndarray, horizon: int, period: int) -> np.ndarray:
    """The seasonal naive forecast (Hyndman and Athanasopoulos 2021, 5.2): the values a period before, [horizon]."""
    return x[len(x) - period + np.arange(horizon) % period]


def prepare(raw: Path, out: Path, config) -> dict:
    """Write int16 [n, past] and float32 [n, 1 + horizon] shards, spec.json, manifest.csv, rejected.csv; returns counts.

    The first part of the series is for training, the last for testing. Calibration takes windows out of training.
    ``test_mae`` has the mean absolute errors of the naive and of the seasonal naive forecast on the test split.
    """
    with Rejected(out) as rejected:
        pieces, counts, step = series(raw, config, rejected)
        rejected.check(counts["rows"], config.max_rejected, "rows")
    split_parts = parts(pieces, config)
    training = np.concatenate(split_parts["train"])
    scale = HEADROOM * float(np.abs(training).max()) / np.iinfo(np.int16).max
    mean, std = float(training.mean(dtype=np.float64)), float(training.std(dtype=np.float64))
    if std < FINE * scale:
        print(
            f"warning: the series varies by {std:.3g} about {mean:.3g}, which is {std / scale:.0f} steps of what is "
            "stored: subtract a constant from the column",
            file=sys.stderr,
        )
    errors: dict[str, list[float]] = {"naive": [], "seasonal_naive": []}
    counts["clipped_values"] = 0
    ends = shards.Tensor("values", (config.past,), scale=scale), shards.Tensor("scores", (config.horizon,))
    with (
        Splits(out, ("<i2", (config.past,)), ("float32", (1 + config.horizon,))) as splits,
        Table(out / "manifest.csv", "id", "split") as manifest,
    ):
        for split, kept in split_parts.items():
            for number, part in enumerate(kept):
                stored = np.round(part / scale)
                counts["clipped_values"] += int(np.sum(np.abs(stored) > np.iinfo(np.int16).max))
                stored = np.clip(stored, -np.iinfo(np.int16).max, np.iinfo(np.int16).max).astype("<i2")
                for start in tqdm(range(len(part) - config.past - config.horizon + 1), split, unit="window"):
                    middle = start + config.past
                    x, y = stored[start:middle], part[middle - 1 : middle + config.horizon]
                    place = split
                    if split == "train":
                        digest = hashlib.sha256(x.tobytes()).hexdigest()
                        if shards.share(digest, "calibration") < config.calibration:
                            place = "calibration"
                    splits.add(place, x, y)
                    manifest.add(f"{split}/{number}/{start}", place)
                    if split == "test":
                        errors["naive"].append(float(np.abs(y[1:] - y[0]).mean()))
                        if config.period:
                            before = seasonal(part[start:middle], config.horizon, config.period)
                            errors["seasonal_naive"].append(float(np.abs(y[1:] - before).mean()))
    if not splits.counts["calibration"]:
        raise UserError("none of the windows is left for calibration: collect more, or raise preprocess.calibration")
    metadata = {"target_mean": mean, "target_std": std, "seconds_a_step": step, "period": config.period}
    shards.Spec(*ends, (), metadata).save(out)
    maes = {name: float(np.mean(values)) for name, values in errors.items() if values}
    return splits.counts | {"rejected": dict(rejected.counts), "test_mae": maes} | dict(counts)
