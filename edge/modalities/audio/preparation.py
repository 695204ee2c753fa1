"""From collected clips to shards: converted by SoX, checked, fitted to the window, split by speaker.

Clips pass through in chunks and are appended to the shards, so memory does not depend on their number. The split of a
clip follows from its speaker alone, or from its content where nobody knows the speaker: it stays as data grow.
"""

import csv
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from edge.core.errors import UserError
from edge.data import collected, shards
from edge.data.collected import AGAIN
from edge.data.labels import distinct
from edge.data.rejected import DUPLICATE, Rejected, Table
from edge.data.writer import Splits
from edge.modalities.audio import sox
from edge.modalities.audio.speech import SILENCE, UNKNOWN

CHUNK, CHUNK_BYTES = 500, 256 << 20  # clips in memory at a time, at most, and bytes of their samples, about
CALIBRATION = (0.1, 0.2, 0.4)  # shares that are tried where there are few clips
LEAST_VAL = 0.2  # share of the clips that validation by clip is given then
UNREADABLE, EMPTY, SILENT, CLIPPED = "unreadable", "empty", "silent", "clipped"
TOO_SHORT, WRONG_LABEL = "too short", "wrong label"
REASONS = (UNREADABLE, EMPTY, SILENT, CLIPPED, TOO_SHORT, WRONG_LABEL, DUPLICATE)


class Clip(NamedTuple):
    """A row of the collected manifest and the samples of its file; None: it is unreadable."""

    id: str
    label: str
    speaker: str
    pcm: sox.Pcm | None


def prepare(raw: Path, out: Path, cfg) -> dict:
    """Write int16 shards [n, samples], spec.json, manifest.csv and rejected.csv; returns counts.

    Rejected clips are listed with their reason. A sound that was there before is a duplicate where the label is the
    same and a wrong label where it is another. Raises UserError when too many are rejected or when the splits do not
    hold every label.
    """
    names = (*words(raw), UNKNOWN, SILENCE)
    samples = round(cfg.seconds * cfg.rate)
    effects = sox.effects(cfg.rate, **cfg.effects.model_dump())
    untrimmed = sox.effects(cfg.rate, **cfg.effects.model_dump() | {"trim": None})
    kept, speakers = Counter(), set()
    seen: dict[bytes, str] = {}  # hash of a window -> its label
    named: set[str] = set()
    seconds = 0.0
    with (
        Splits(out, ("<i2", (samples,)), ("int64", ())) as splits,
        Table(out / "manifest.csv", "id", "label", "speaker", "split", "sha256") as manifest,
        Rejected(out) as rejected,
    ):
        for chunk in chunks(raw):
            for clip, heard, reason in converted(chunk, names, cfg, effects, untrimmed):
                if not reason:
                    window = fit(heard, samples)
                    digest = hashlib.sha256(window.tobytes())
                    if digest.digest() in seen:
                        reason = DUPLICATE if seen[digest.digest()] == clip.label else WRONG_LABEL
                if reason:
                    rejected.reject(clip.id, "", reason)
                    continue
                seen[digest.digest()] = clip.label
                split = split_of(clip.speaker, digest.hexdigest(), cfg)
                splits.add(split, window, names.index(clip.label))
                manifest.add(clip.id, clip.label, clip.speaker, split, digest.hexdigest())
                kept[clip.label, split] += 1
                seconds += len(heard) / cfg.rate
                named.add(clip.speaker)
                if clip.label != SILENCE:
                    speakers.add(clip.speaker or digest.digest())
    rejected.check(kept.total(), cfg.max_rejected, "clips")
    present = {label for label, _ in kept}
    labels = tuple(name for name in names if name in present or name not in (UNKNOWN, SILENCE))
    _check_splits(kept, labels, speakers, named, out / "manifest.csv", cfg)
    new = np.array([labels.index(name) if name in labels else -1 for name in names])
    for split in shards.SPLITS:
        path = out / f"{split}.y.npy"
        np.save(path, new[np.load(path, allow_pickle=False)])
    metadata = {"sample_rate": cfg.rate, "sox_effects": effects}
    ends = shards.Tensor("waveform", (samples,), scale=1 / 32768), shards.Tensor("scores", (len(labels),))
    shards.Spec(*ends, labels, metadata).save(out)
    reasons = dict.fromkeys(REASONS, 0) | rejected.counts
    return splits.counts | {"rejected": reasons, "speakers": len(speakers), "seconds": round(seconds, 1)}


def read_file(path: Path, cfg) -> np.ndarray:
    """One recording as an example, int16 [samples], as ``prepare`` makes it; raises UserError where it is rejected."""
    try:
        pcm = sox.read(path.read_bytes(), path.suffix)
    except sox.Unreadable as error:
        raise UserError(f"{path} is {UNREADABLE}: {error}") from None
    reason = fault(pcm, "", cfg)
    if not reason:
        (heard,) = sox.convert([pcm], sox.effects(cfg.rate, **cfg.effects.model_dump()))
        reason = TOO_SHORT if len(heard) < max(1, cfg.min_seconds * cfg.rate) else ""
    if reason:
        raise UserError(f"{path} is {reason}: the section preprocess of the config has the limits")
    return fit(heard, round(cfg.seconds * cfg.rate))


def words(raw: Path) -> list[str]:
    """The words of labels.json, in order; raises UserError where it is damaged or one of them is no label."""
    try:
        listed = json.loads((raw / "labels.json").read_text(encoding="utf-8"))
        if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
            raise ValueError("it is no list of words")
        return distinct(listed)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{raw / 'labels.json'} is damaged ({error}): {AGAIN}") from None


def chunks(raw: Path) -> Iterator[list[Clip]]:
    """The clips of clips.tar that manifest.csv lists, in that order, as many at a time as CHUNK and CHUNK_BYTES allow.

    Raises UserError where one of the two files is damaged or lacks a clip.
    """
    chunk, size = [], 0
    with tqdm(desc="preparing", unit="clip") as bar:
        for row, data in collected.files(raw, "clips.tar", "label", "speaker"):
            clip = Clip(row["id"], row["label"], row["speaker"], _samples(data, row["id"]))
            chunk.append(clip)
            size += len(clip.pcm.data) if clip.pcm else 0
            if len(chunk) == CHUNK or size > CHUNK_BYTES:
                yield chunk
                bar.update(len(chunk))
                chunk, size = [], 0
        if chunk:
            yield chunk
            bar.update(len(chunk))


def _samples(data: bytes, name: str) -> sox.Pcm | None:
    """The samples of a clip's file; None where it is unreadable."""
    try:
        return sox.read(data, PurePosixPath(name).suffix)
    except sox.Unreadable:
        return None


def converted(chunk: list[Clip], names: tuple[str, ...], cfg, effects: list[str], untrimmed: list[str]):
    """Yield (clip, int16 [samples] of any length, '' or the reason to reject it); silence keeps its full length."""
    readable, reasons = {}, {}
    for index, clip in enumerate(chunk):
        if clip.pcm is None:
            reasons[index] = UNREADABLE
        else:
            reasons[index] = WRONG_LABEL if clip.label not in names else fault(clip.pcm, clip.label, cfg)
        if not reasons[index]:
            readable[index] = clip.pcm
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


def _check_splits(kept: Counter, labels: tuple[str, ...], speakers: set, named: set[str], manifest: Path, cfg) -> None:
    """Raise UserError where the clips cannot be split so that each split has each label, with settings that help."""
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
    lack = lacking(kept, labels)
    if lack is None:
        return
    split, label = lack
    what = f"split {split} has no clip of {label}" if label else "no clip is left for calibration"
    settings = remedy(manifest, labels, cfg)
    if settings:
        raise UserError(
            f"{what}: collect more speakers, or give each split each label with these lines under preprocess in the "
            f"config: {settings}"
        )
    share = f"preprocess.split.{split}" if split in ("val", "test") else "preprocess.calibration"
    change = "leave more speakers to training" if split == "train" else f"raise {share}"
    raise UserError(f"{what}: collect more speakers who say each word, or {change}")


def lacking(kept: Counter, labels: tuple[str, ...]) -> tuple[str, str] | None:
    """The first split and label without a clip; ("calibration", "") where that has none at all; None: all is well.

    ``kept`` counts clips by (label, split).
    """
    for split in ("train", "val", "test"):
        for label in labels:
            if not kept[label, split]:
                return split, label
    return None if any(kept[label, "calibration"] for label in labels) else ("calibration", "")


def remedy(manifest: Path, labels: tuple[str, ...], cfg) -> str:
    """Settings, as YAML in one line, with which these very clips fill every split with every label; '' where none do.

    Speakers stay where their hash puts them but for those that are named: a clip keeps its split as data grow. Where
    that is not enough, all of validation and test is named; at last validation takes clips of speakers in training.
    """
    with open(manifest, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ways = ({}, {"val": 0.0, "test": 0.0}, {"val_by": "clip", "val": max(cfg.split.val, LEAST_VAL)})
    shares = [cfg.calibration, *(share for share in CALIBRATION if share > cfg.calibration)]
    for way, calibration in itertools.product(ways, shares):
        changed = cfg.model_copy(update={"split": cfg.split.model_copy(update=way), "calibration": calibration})
        for target in ("test", "val"):
            changed = _with_named(rows, labels, changed, target)
        if lacking(_counts(rows, changed), labels) is None:
            return _as_yaml(cfg, changed)
    return ""


def _counts(rows: list[dict], cfg) -> Counter:
    """Clips by (label, split) as these settings would split the rows of a manifest."""
    return Counter((row["label"], split_of(row["speaker"], row["sha256"], cfg)) for row in rows)


def _with_named(rows: list[dict], labels: tuple[str, ...], cfg, target: str):
    """``cfg`` with speakers of the training split named for the split ``target`` until that has every label.

    The speaker with most of the missing labels comes first, among equals the one whose hash is nearest to the split; a
    label never loses its last speaker in training.
    """
    key = f"{target}_speakers"
    while missing := {label for label in labels if not _counts(rows, cfg)[label, target]}:
        said: dict[str, set[str]] = {}
        for row in rows:
            if row["speaker"] and split_of(row["speaker"], row["sha256"], cfg) in ("train", "calibration"):
                said.setdefault(row["speaker"], set()).add(row["label"])
        speakers = Counter(label for heard in said.values() for label in heard)
        free = [who for who, heard in said.items() if heard & missing and all(speakers[label] > 1 for label in heard)]
        if not free:
            break
        best = min(free, key=lambda who: (-len(said[who] & missing), shards.share(who, "split"), who))
        cfg = cfg.model_copy(update={key: [*getattr(cfg, key), best]})
    return cfg


def _as_yaml(cfg, changed) -> str:
    """The settings of ``changed`` that differ from ``cfg``, as lines of YAML joined by ' and '."""
    lines = []
    for key in ("test_speakers", "val_speakers"):
        if getattr(changed, key) != getattr(cfg, key):
            lines.append(f"`{key}: {json.dumps(getattr(changed, key), ensure_ascii=False)}`")
    if changed.split != cfg.split:
        split = changed.split
        lines.append(f"`split: {{val: {split.val:g}, val_by: {split.val_by}, test: {split.test:g}}}`")
    if changed.calibration != cfg.calibration:
        lines.append(f"`calibration: {changed.calibration:g}`")
    return " and ".join(lines)
