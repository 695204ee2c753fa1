"""From recordings to windows: a fixed rate, no gap bridged, windows of mixed activity left out, persons kept apart.

Recordings are read once, a file at a time, and kept resampled on disk until the scale of the data is known. So memory
depends on the longest recording and not on their number.
"""

import hashlib
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from edge.core.errors import UserError
from edge.data.labels import distinct
from edge.data.rejected import Rejected, Table
from edge.data.shards import Spec, Tensor
from edge.data.splits import check_labels, repeated, split_of
from edge.data.writer import Splits
from edge.modalities.series import collection, poses, table, windows

BACKWARDS, SHORT, CONSTANT, SKIPPED = "time goes backwards", "shorter than a window", "constant", "not read"
HEADROOM = 2.0  # the largest value that can be stored, in units of the largest one in training


class Piece(NamedTuple):
    """A part of a recording without a gap: where it lies on disk, whose it is, hashes of its values and labels."""

    path: Path
    file: str
    start: float
    subject: str
    rows: int
    digest: str
    truth: str


class Resampled:
    """Pass one: what is usable of all files, at one rate, on disk; faults go to ``rejected``."""

    def __init__(self, layout: table.Layout, config, folder: Path, rejected: Rejected):
        self.layout, self.config, self.folder, self.rejected = layout, config, folder, rejected
        self.pieces: list[Piece] = []
        self.codes: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self.strengths: list[np.ndarray] = []
        self.largest, self.squares, self.trained = 0.0, np.zeros(len(layout.values)), 0  # of what is for training

    def add(self, path: Path, file: str, subject: str) -> None:
        """All recordings of a file."""
        for recording in table.read(path, file, self.layout, 1 / self.config.rate, self.rejected):
            rows = windows.order(recording.stamps)
            if rows is None:
                steps = float(np.mean(np.diff(recording.stamps) < 0))
                self.reject_all(file, BACKWARDS, f"{steps:.1%} of the steps", len(recording.stamps))
                continue
            self.counts["equal_stamps"] += len(recording.stamps) - len(rows)
            self.counts["backwards_sorted"] += int(np.sum(np.diff(recording.stamps) < 0))
            labels = np.array([self.codes.setdefault(label, len(self.codes)) for label in recording.labels])
            self.cut(file, recording.group or subject, recording.stamps[rows], recording.values[rows], labels[rows])

    def cut(self, file: str, subject: str, stamps: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        """The pieces between gaps."""
        found = windows.pieces(stamps, self.config.max_gap)
        self.counts["gaps"] += len(found) - 1
        for part in found:
            rows = part.stop - part.start
            x, nearest = windows.resampled(stamps[part], values[part], self.config.rate)
            seconds = len(x) / self.config.rate
            if len(x) < round(self.config.window * self.config.rate):
                self.reject_all(file, SHORT, f"{seconds:.2f} s from {stamps[part][0]:.3f} s on", rows)
            elif len(x) > 1 and not np.ptp(x, axis=0).any():
                self.reject_all(file, CONSTANT, f"{seconds:.2f} s from {stamps[part][0]:.3f} s on", rows)
            else:
                self.keep(file, subject, float(stamps[part][0]), rows, x, labels[part][nearest])

    def keep(self, file: str, subject: str, start: float, rows: int, x: np.ndarray, labels: np.ndarray) -> None:
        """One piece, to disk."""
        path = self.folder / f"{len(self.pieces)}.npz"
        np.savez(path, x=x, labels=labels)
        self.counts["rows"] += rows
        digest, truth = (hashlib.sha256(array.tobytes()).hexdigest() for array in (x, labels))
        self.pieces.append(Piece(path, file, start, subject, rows, digest, truth))
        if subject_split(subject, digest, self.config) in ("train", "calibration"):
            self.largest = max(self.largest, float(np.abs(x).max()))
            self.squares += np.sum(x.astype(np.float64) ** 2, axis=0)
            self.trained += len(x)
        if len(self.layout.sensors[0]) == 3:
            self.strengths.append(windows.strengths(x[:, :3], self.config.rate))

    def reject_all(self, file: str, reason: str, detail: str, rows: int) -> None:
        """A whole recording or piece: one line of the report, counted as the ``rows`` rows that it has."""
        self.rejected.reject(file, "", reason, f"{rows} rows: {detail}")
        self.rejected.counts[reason] += rows - 1

    def drop_repeated(self) -> None:
        """Leave out pieces with the values of an earlier one, and all of those whose labels contradict each other."""
        found = repeated((piece.digest, piece.truth) for piece in self.pieces)
        for index, reason in found.items():
            piece = self.pieces[index]
            self.reject_all(piece.file, reason, f"from {piece.start:.3f} s on", piece.rows)
            self.counts["rows"] -= piece.rows
        self.pieces = [piece for index, piece in enumerate(self.pieces) if index not in found]

    def spread(self) -> list[float]:
        """The root mean square of each sensor in training, once for each of its columns."""
        squares, found, start = self.squares / max(1, self.trained), [], 0
        for columns in map(len, self.layout.sensors):
            found += [float(np.sqrt(squares[start : start + columns].mean())) or 1.0] * columns
            start += columns
        return found


def subject_split(subject: str, digest: str, config) -> str:
    """The split of a window: named subjects first, then by a hash of the subject."""
    if subject in config.test_subjects:
        return "test"
    if subject in config.val_subjects:
        return "val"
    return split_of(subject, digest, config)


def prepare(raw: Path, out: Path, config) -> dict:
    """Write int16 windows [n, rows, columns], spec.json, manifest.csv and rejected.csv; returns counts.

    ``rejected`` counts rows. Windows of which less than ``config.purity`` of the middle second has one label are
    counted as ``impure`` and are in no split. Raises UserError when too many rows are rejected, or a split lacks a
    label.
    """
    layout = table.load_layout(raw)
    with tempfile.TemporaryDirectory(prefix="edge-", dir=out.parent) as folder, Rejected(out) as rejected:
        for row in collection.rows(raw / "skipped.csv"):
            rejected.reject(row["file"], "", SKIPPED, row["reason"])
        found = Resampled(layout, config, Path(folder), rejected)
        for row in tqdm(collection.rows(raw / "manifest.csv"), "resampling", unit="file"):
            found.add(raw / row["path"], row["file"], row["subject"])
        found.drop_repeated()
        rejected.check(found.counts["rows"], config.max_rejected, "rows")
        names = _labels(found.codes)
        check_subjects(found.pieces, config)
        written = write(found, names, out)
    if found.strengths and (said := windows.unit_warning(windows.at_rest(np.concatenate(found.strengths)))):
        print(f"warning: {said}", file=sys.stderr)
    return written | {"rejected": dict(rejected.counts)} | dict(found.counts)


def _labels(codes: dict[str, int]) -> list[str]:
    """The labels in order; raises UserError where two differ in case only."""
    try:
        return sorted(distinct(codes))
    except ValueError as error:
        raise UserError(f"the recordings' labels cannot be used: {error}") from None


def check_subjects(pieces: list[Piece], config) -> None:
    """Raise UserError where a subject that the config names has no recording."""
    known = {piece.subject for piece in pieces}
    for key in ("test_subjects", "val_subjects"):
        if strangers := set(getattr(config, key)) - known:
            raise UserError(
                f"preprocess.{key} names {min(strangers)}, of whom there is no recording: the subjects are "
                f"{', '.join(sorted(known))[:200]}"
            )


def write(found: Resampled, names: list[str], out: Path) -> dict:
    """The windows of all pieces, their manifest and spec.json; returns counts."""
    config, layout = found.config, found.layout
    size = round(config.window * config.rate)
    middle = min(size, round(config.rate))
    scale = HEADROOM * found.largest / np.iinfo(np.int16).max or 1.0
    codes = {code: name for name, code in found.codes.items()}
    kept, counts = Counter(), Counter(impure=0, clipped_values=0)
    with (
        Splits(out, ("<i2", (size, len(layout.values))), ("int64", ())) as splits,
        Table(out / "manifest.csv", "id", "label", "subject", "split", "purity", "sha256") as manifest,
    ):
        for piece in tqdm(found.pieces, "windows", unit="piece"):
            with np.load(piece.path, allow_pickle=False) as arrays:
                x, labels = arrays["x"], arrays["labels"]
            stored = np.round(x / scale)
            counts["clipped_values"] += int(np.sum(np.abs(stored) > np.iinfo(np.int16).max))
            stored = np.clip(stored, -np.iinfo(np.int16).max, np.iinfo(np.int16).max).astype("<i2")
            for rows in windows.centred(len(x), size, max(1, round(config.hop * config.rate))):
                code, purity = windows.majority(labels[rows], middle)
                if purity < config.purity:
                    counts["impure"] += 1
                    continue
                digest = hashlib.sha256(stored[rows].tobytes()).hexdigest()
                split, label = subject_split(piece.subject, digest, config), codes[code]
                splits.add(split, stored[rows], names.index(label))
                name = f"{piece.file}@{piece.start + rows[size // 2] / config.rate:.3f}"
                manifest.add(name, label, piece.subject, split, f"{purity:.2f}", digest)
                kept[label, split] += 1
    check_labels(kept, names, "windows")
    metadata = {"rate": config.rate, "columns": layout.values, "sensors": [len(columns) for columns in layout.sensors]}
    metadata |= {"poses": layout.values == poses.COLUMNS, "spread": found.spread()}
    ends = Tensor("motion", (size, len(layout.values)), scale=scale), Tensor("scores", (len(names),))
    Spec(*ends, tuple(names), metadata).save(out)
    subjects = len({piece.subject for piece in found.pieces})
    return splits.counts | {"subjects": subjects} | dict(counts)
