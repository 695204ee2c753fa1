"""From collected clips to shards: converted by SoX, checked, fitted to the window, split by speaker.

Clips pass through in chunks and are appended to the shards, so memory does not depend on their number. The split of a
clip follows from its speaker alone, or from its content where nobody knows the speaker: it stays as data grow.
"""

import csv
import hashlib
import json
import tarfile
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from edge.core.errors import UserError
from edge.data import shards
from edge.modalities.audio import sox
from edge.modalities.audio.speech import SILENCE, UNKNOWN

CHUNK = 500  # clips in memory at a time
UNREADABLE, EMPTY, SILENT, CLIPPED = "unreadable", "empty", "silent", "clipped"
TOO_SHORT, WRONG_LABEL, DUPLICATE = "too short", "wrong label", "duplicate"
REASONS = (UNREADABLE, EMPTY, SILENT, CLIPPED, TOO_SHORT, WRONG_LABEL, DUPLICATE)


class Clip(NamedTuple):
    """A row of the collected manifest and the bytes of its file."""

    id: str
    label: str
    speaker: str
    data: bytes


def prepare(raw: Path, out: Path, cfg) -> dict:
    """Write int16 shards [n, samples], spec.json, manifest.csv and rejected.csv; returns counts.

    Rejected clips are listed with their reason. A sound that was there before is a duplicate where the label is the
    same and a wrong label where it is another. Raises UserError when too many are rejected or when the splits do not
    hold every label.
    """
    names = tuple(json.loads((raw / "labels.json").read_text())) + (UNKNOWN, SILENCE)
    samples = round(cfg.seconds * cfg.rate)
    effects = sox.effects(cfg.rate, **cfg.effects.model_dump())
    untrimmed = sox.effects(cfg.rate, **cfg.effects.model_dump() | {"trim": None})
    rejected, kept, speakers = Counter(dict.fromkeys(REASONS, 0)), Counter(), set()
    seen: dict[bytes, str] = {}  # hash of a window -> its label
    named: set[str] = set()
    seconds = 0.0
    with ExitStack() as stack:
        splits = {split: stack.enter_context(Shard(out, split, samples)) for split in shards.SPLITS}
        manifest = stack.enter_context(Table(out / "manifest.csv", "id", "label", "speaker", "split", "sha256"))
        rejects = stack.enter_context(Table(out / "rejected.csv", "id", "reason"))
        for chunk in chunks(raw):
            for clip, heard, reason in converted(chunk, names, cfg, effects, untrimmed):
                if not reason:
                    window = fit(heard, samples)
                    digest = hashlib.sha256(window.tobytes())
                    if digest.digest() in seen:
                        reason = DUPLICATE if seen[digest.digest()] == clip.label else WRONG_LABEL
                if reason:
                    rejected[reason] += 1
                    rejects.add(clip.id, reason)
                    continue
                seen[digest.digest()] = clip.label
                split = split_of(clip.speaker, digest.hexdigest(), cfg)
                splits[split].add(window, names.index(clip.label))
                manifest.add(clip.id, clip.label, clip.speaker, split, digest.hexdigest())
                kept[clip.label, split] += 1
                seconds += len(heard) / cfg.rate
                named.add(clip.speaker)
                if clip.label != SILENCE:
                    speakers.add(clip.speaker or digest.digest())
    _check_rejected(rejected, sum(kept.values()), cfg.max_rejected)
    present = {label for label, _ in kept}
    labels = tuple(name for name in names if name in present or name not in (UNKNOWN, SILENCE))
    _check_splits(kept, labels, speakers, named, cfg)
    for shard in splits.values():
        shard.save_labels([labels.index(name) if name in labels else -1 for name in names])
    metadata = {"sample_rate": cfg.rate, "sox_effects": effects}
    ends = shards.Tensor("waveform", (samples,), scale=1 / 32768), shards.Tensor("scores", (len(labels),))
    shards.Spec(*ends, labels, metadata).save(out)
    counts = {split: len(shard.labels) for split, shard in splits.items()}
    return counts | {"rejected": dict(rejected), "speakers": len(speakers), "seconds": round(seconds, 1)}


def chunks(raw: Path) -> Iterator[list[Clip]]:
    """The clips of clips.tar that manifest.csv lists, in that order, at most CHUNK at a time."""
    with tarfile.open(raw / "clips.tar", "r|") as tar, open(raw / "manifest.csv", newline="") as file:
        clips = _clips(tar, csv.DictReader(file))
        with tqdm(desc="preparing", unit="clip") as bar:
            while chunk := list(islice(clips, CHUNK)):
                yield chunk
                bar.update(len(chunk))


def _clips(tar: tarfile.TarFile, rows: csv.DictReader) -> Iterator[Clip]:
    for row in rows:
        while (member := tar.next()) is not None and member.name != row["id"]:
            pass
        if member is None:
            raise UserError(f"clips.tar holds no {row['id']} where manifest.csv lists it: run the stage collect again")
        tar.members = []
        yield Clip(row["id"], row["label"], row["speaker"], tar.extractfile(member).read())


def converted(chunk: list[Clip], names: tuple[str, ...], cfg, effects: list[str], untrimmed: list[str]):
    """Yield (clip, int16 [samples] of any length, '' or the reason to reject it); silence keeps its full length."""
    readable, reasons = {}, {}
    for index, clip in enumerate(chunk):
        try:
            pcm = sox.read(clip.data, PurePosixPath(clip.id).suffix)
            reasons[index] = WRONG_LABEL if clip.label not in names else fault(pcm, clip.label, cfg)
            if not reasons[index]:
                readable[index] = pcm
        except sox.Unreadable:
            reasons[index] = UNREADABLE
    heard = {}
    for arguments, silent in ((effects, False), (untrimmed, True)):
        chosen = [index for index in readable if (chunk[index].label == SILENCE) == silent]
        outputs = sox.convert([readable[index] for index in chosen], arguments)
        heard |= dict(zip(chosen, outputs, strict=True))
    for index, clip in enumerate(chunk):
        samples = heard.get(index)
        if samples is not None and clip.label != SILENCE and len(samples) < max(1, cfg.min_seconds * cfg.rate):
            reasons[index] = TOO_SHORT
        yield clip, samples, reasons[index]


def fault(pcm: sox.Pcm, label: str, cfg) -> str:
    """The reason to reject a recording as it came, or ''."""
    if not pcm.frames:
        return EMPTY
    samples = np.abs(pcm.samples().astype(np.int32))
    if label != SILENCE and samples.max() < 32768 * 10 ** (cfg.silent / 20):
        return SILENT
    rail = 32512 if pcm.width == 1 else 32767
    return CLIPPED if np.mean(samples >= rail) > cfg.clipped else ""


def fit(samples: np.ndarray, size: int) -> np.ndarray:
    """Exactly ``size`` samples: zeros on both sides of a shorter clip, the part with most energy of a longer one."""
    spare = size - len(samples)
    if spare >= 0:
        return np.pad(samples, (spare // 2, spare - spare // 2))
    energy = np.concatenate(([0], np.cumsum(samples.astype(np.int64) ** 2)))
    start = int(np.argmax(energy[size:] - energy[:-size]))
    return samples[start : start + size]


def split_of(speaker: str, digest: str, cfg) -> str:
    """The split of a clip: named speakers first, then by a hash of the speaker (of the content where there is none)."""
    place = shards.share(speaker or digest, "split")
    if speaker in cfg.test_speakers:
        return "test"
    if speaker in cfg.val_speakers:
        return "val"
    if place < cfg.split.test:
        return "test"
    if cfg.split.val_by == "clip":
        place = cfg.split.test + shards.share(digest, "val")
    if place < cfg.split.test + cfg.split.val:
        return "val"
    return "calibration" if shards.share(digest, "calibration") < cfg.calibration else "train"


class Shard:
    """One split on disk, appended to: the header of ``<split>.x.npy`` is written again when the number is known."""

    def __init__(self, folder: Path, split: str, samples: int):
        self.folder, self.split, self.samples = folder, split, samples
        self.labels = array("q")

    def __enter__(self):
        self.file = open(self.folder / f"{self.split}.x.npy", "wb")  # noqa: SIM115 - closed in __exit__
        self._header()
        return self

    def __exit__(self, *_):
        self.file.seek(0)
        self._header()
        self.file.close()

    def _header(self) -> None:
        """NumPy leaves room for a larger first axis, so every header of this array has the same length."""
        shape = (len(self.labels), self.samples)
        np.lib.format.write_array_header_1_0(self.file, {"descr": "<i2", "fortran_order": False, "shape": shape})

    def add(self, samples: np.ndarray, label: int) -> None:
        self.file.write(samples.astype("<i2").tobytes())
        self.labels.append(label)

    def save_labels(self, new: list[int]) -> None:
        """Write ``<split>.y.npy``, int64 [n], each label index replaced by ``new[index]``."""
        np.save(self.folder / f"{self.split}.y.npy", np.array(new)[np.array(self.labels, np.int64)])


class Table:
    """A csv file, written row by row."""

    def __init__(self, path: Path, *columns: str):
        self.path, self.columns = path, columns

    def __enter__(self):
        self.file = open(self.path, "w", newline="")  # noqa: SIM115 - closed in __exit__
        self.rows = csv.writer(self.file, lineterminator="\n")
        self.add(*self.columns)
        return self

    def __exit__(self, *_):
        self.file.close()

    def add(self, *values: str) -> None:
        self.rows.writerow(values)


def _check_rejected(rejected: Counter, kept: int, most: float) -> None:
    """Duplicates are no fault of the recording and do not count."""
    faults = Counter({reason: count for reason, count in rejected.items() if reason != DUPLICATE})
    reason, count = max(faults.items(), key=lambda item: item[1])
    total = sum(rejected.values()) + kept
    if faults.total() > most * total:
        raise UserError(
            f"{faults.total()} of {total} clips are rejected, {count} of them as {reason}, and preprocess.max_rejected "
            f"allows {most:.0%}: mend or remove them, or change the limit that rejects them"
        )


def _check_splits(kept: Counter, labels: tuple[str, ...], speakers: set, named: set[str], cfg) -> None:
    totals = Counter()
    for (label, _), count in kept.items():
        totals[label] += count
    for label in labels:
        if totals[label] < 2:
            raise UserError(
                f"label {label} has {totals[label]} usable clips: it needs some in each split, collect more"
            )
    for key in ("test_speakers", "val_speakers"):
        strangers = set(getattr(cfg, key)) - named
        if strangers:
            raise UserError(f"preprocess.{key} names {min(strangers)}, of whom there is no clip: correct the name")
    if len(speakers) < 2:
        raise UserError(
            "all clips are from one speaker, whom no split can share: collect other speakers, or leave the speaker "
            "unknown (collect.directory.speaker: null) to split by clip"
        )
    for split in ("train", "val", "test"):
        for label in labels:
            if not kept[label, split]:
                remedy = f", raise preprocess.split.{split}, or name some in preprocess.{split}_speakers"
                remedy = remedy if split != "train" else ", or leave more speakers to training"
                raise UserError(f"split {split} has no clip of {label}: collect more speakers{remedy}")
    if not any(kept[label, "calibration"] for label in labels):
        raise UserError("no clip is left for calibration: collect more, or raise preprocess.calibration")
