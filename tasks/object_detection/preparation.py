"""From collected Pascal VOC folders to shards: pictures resized, boxes with them, each fault in a row of a report.

Every picture is read twice: first to see what is true of it, whether it was there before, and how many boxes the
fullest one has; then to be written. Between the two, a hash and a few words of each are kept.
"""

import csv
import difflib
import functools
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from edge.core.errors import UserError
from edge.data import archive
from edge.data.labels import distinct
from edge.data.rejected import Rejected, Table
from edge.data.shards import SPLITS, Spec, Tensor, share
from edge.data.splits import check_labels, repeated, split_of
from edge.data.writer import Splits
from edge.modalities.vision import pictures
from edge.modalities.vision.pictures import Unreadable
from tasks.object_detection import voc
from tasks.object_detection.collection import PACKED

STRIDES = (8, 16, 32)  # pixels between the anchors of each level
CHUNK, THREADS = 16, 8  # pictures in memory at a time, and threads, at most; each holds a whole picture
NO_XML, NO_PICTURE, TWICE = "picture without xml", "xml without picture", "second picture of this name"
TWO_LISTS, NO_LIST, UNLISTED = "in two lists", "in no list", "in a list only"


class Example(NamedTuple):
    """A picture uint8 [height, width, 3] with its boxes (label, y0 x0 y1 x1 in shares), and what was found in them."""

    pixels: np.ndarray
    boxes: list[tuple[str, tuple[float, ...]]]
    faults: list[voc.Fault]
    repaired: list[str]


class Refused(NamedTuple):
    """Why a picture is no example, and which of its two files is to blame."""

    file: str
    reason: str
    detail: str


class Kept(NamedTuple):
    """What is remembered of a picture: hashes of its pixels and of its boxes, and how many boxes each label has."""

    key: str
    digest: str
    truth: str
    labels: Counter


def prepare(raw: Path, out: Path, config) -> dict:
    """Write uint8 shards [n, height, width, 3], boxes [n, most, 5], spec.json, manifest.csv, rejected.csv.

    Returns the counts. Raises UserError where a class is not among ``config.labels``, where too much is rejected, and
    where a split lacks a class.
    """
    with archive.members(raw / PACKED) as members, Rejected(out) as rejected:
        for file, reason in skipped(raw):
            rejected.reject(file, "", reason)
        folder = voc.index(members.names)
        lists = listed(folder, members.read, rejected) if config.lists else {}
        kept, repaired = usable(folder, members.read, lists, config, rejected)
        again = repeated((one.digest, one.truth) for one in kept)
        for number, reason in again.items():
            rejected.reject(folder.pictures[kept[number].key], "", reason)
        kept = [one for number, one in enumerate(kept) if number not in again]
        rejected.check(len(kept), config.max_rejected, "pictures")
        labels = names(kept, config.labels)
        counts, boxes = write(out, folder, members.read, kept, labels, lists, config)
    layout = levels(config.size, config.anchors)
    ends = Tensor("pixels", (*config.size, 3)), Tensor("scores", (100, 6))
    Spec(*ends, labels, {"keep_aspect": config.keep_aspect, "levels": layout}).save(out)
    own = {"boxes": boxes, "split_by": "lists" if lists else "content"}
    return counts | own | {"rejected": dict(rejected.counts), "repaired": dict(repaired)}


def skipped(raw: Path) -> list[tuple[str, str]]:
    """Files that collect left out, with the reasons."""
    with open(raw / "skipped.csv", newline="", encoding="utf-8") as file:
        return [(row["file"], row["reason"]) for row in csv.DictReader(file)]


def levels(size: list[int], anchors: list) -> list[dict]:
    """The grids of anchors as the head has them, by anchors in shares of the height: {"rows", "columns", "sizes"}."""
    height, width = size
    return [
        {
            "rows": -(-height // stride),
            "columns": -(-width // stride),
            "sizes": [[tall, wide * height / width] for tall, wide in sizes],
        }
        for stride, sizes in zip(STRIDES, anchors, strict=True)
    ]


def listed(folder: voc.Folder, read, rejected: Rejected) -> dict[str, str]:
    """The split of each picture by the data's own lists, "" where two have it; empty where one of three is missing."""
    if set(folder.lists) != {"train", "val", "test"}:
        return {}
    found: dict[str, str] = {}
    for split, files in folder.lists.items():
        for file in files:
            for line, key in voc.listed(file, read(file)):
                if key in folder.pictures or key in folder.annotations:
                    found[key] = split if found.get(key, split) == split else ""
                else:
                    rejected.reject(file, line, UNLISTED, key)
    return found


def usable(folder: voc.Folder, read, lists: dict, config, rejected: Rejected) -> tuple[list[Kept], Counter]:
    """Look at every picture once; returns those that can be used, and what was repaired or converted, by kind."""
    for name in folder.twice:
        rejected.reject(name, "", TWICE)
    for key in sorted(folder.pictures.keys() ^ folder.annotations.keys()):
        picture = folder.pictures.get(key)
        rejected.reject(picture or folder.annotations[key], "", NO_XML if picture else NO_PICTURE)
    keys = sorted(folder.pictures.keys() & folder.annotations.keys())
    if lists:
        for key in [key for key in keys if not lists.get(key)]:
            rejected.reject(folder.pictures[key], "", TWO_LISTS if key in lists else NO_LIST)
        keys = [key for key in keys if lists.get(key)]
    kept, repaired = [], Counter()
    for key, example in examples("reading", keys, folder, read, config):
        if isinstance(example, Refused):
            rejected.reject(example.file, "", example.reason, example.detail)
            continue
        for fault in example.faults:
            rejected.reject(folder.annotations[key], fault.line, fault.reason, fault.detail)
        repaired.update(example.repaired)
        truth = repr(sorted(example.boxes)).encode()
        labels = Counter(label for label, _ in example.boxes)
        kept.append(Kept(key, digest(example.pixels.tobytes()), digest(truth), labels))
    return kept, repaired


def examples(what: str, keys: list[str], folder: voc.Folder, read, config) -> Iterator[tuple[str, Example | Refused]]:
    """Each key with its example, in order; threads decode, and ``what`` names the progress bar."""
    with (
        ThreadPoolExecutor(min(THREADS, len(os.sched_getaffinity(0)))) as pool,
        tqdm(desc=what, total=len(keys)) as bar,
    ):
        for start in range(0, len(keys), CHUNK):
            chunk = keys[start : start + CHUNK]
            names = [(folder.annotations[key], folder.pictures[key]) for key in chunk]
            files = [[(name, read(name)) for name in pair] for pair in names]
            yield from zip(chunk, pool.map(functools.partial(example_of, config=config), files), strict=True)
            bar.update(len(chunk))


def example_of(files: list[tuple[str, bytes]], config) -> Example | Refused:
    """What XML and picture, each (name, content), give; raises UserError for a class that is not asked for."""
    (file, xml), (picture, pixels) = files
    try:
        annotation = voc.parse(xml)
        check(annotation, file, config.labels)
        file = picture
        return fitted(pixels, annotation, config)
    except Unreadable as error:
        return Refused(file, error.reason, error.detail)


def digest(content: bytes) -> str:
    """A hash in hex."""
    return hashlib.sha256(content).hexdigest()


def check(annotation: voc.Annotation, xml: str, labels: list[str] | None) -> None:
    """Raise UserError for a class that is not among ``labels``, naming the one that is most like it."""
    for box in annotation.boxes:
        if labels and box.label not in labels:
            near = difflib.get_close_matches(box.label, labels, 1, 0)[0]
            raise UserError(
                f"{xml}:{box.line}: class {box.label[:40]!r} is not among preprocess.labels; the nearest is {near!r}: "
                "mend the file or the config"
            )


def fitted(data: bytes, annotation: voc.Annotation, config) -> Example:
    """A picture resized, and its boxes in shares of what it became; raises Unreadable."""
    picture = pictures.read(data, tuple(config.size))
    height, width = picture.size
    resized = pictures.resize(picture.pixels, *config.size, config.keep_aspect)
    scale = resized.scale * picture.pixels.shape[:2] / np.array(picture.size)
    boxes, faults, repaired = [], list(annotation.faults), [picture.converted] if picture.converted else []
    if annotation.size not in (None, picture.size):
        repaired.append(voc.OTHER_SIZE)
    for box in annotation.boxes:
        edges, mended, fault = voc.fitted(box, height, width)
        repaired += mended
        if fault:
            faults.append(fault)
        else:
            moved = (np.reshape(edges, (2, 2)) * scale + resized.offset) / config.size
            boxes.append((box.label, tuple(moved.ravel().tolist())))
    return Example(resized.pixels, boxes, faults, repaired)


def names(kept: list[Kept], labels: list[str] | None) -> tuple[str, ...]:
    """The classes in their order; raises UserError where one could not name a file."""
    found = labels or sorted(set().union(*(one.labels for one in kept)))
    try:
        return tuple(distinct(found))
    except ValueError as error:
        raise UserError(f"a class in the annotations: {error}") from None


def write(
    out: Path, folder: voc.Folder, read, kept: list[Kept], labels: tuple[str, ...], lists: dict, config
) -> tuple[dict, dict]:
    """Write shards and manifest; returns the number of pictures by split, and of boxes by class."""
    most = max(one.labels.total() for one in kept)
    if not most:
        raise UserError("no picture has a box: annotate some, or change collect.source in the config")
    counts = Counter()
    shape = (*config.size, 3)
    with (
        Splits(out, ("uint8", shape), ("<f4", (most, 5))) as splits,
        Table(out / "manifest.csv", "id", "split", "boxes", "sha256") as manifest,
    ):
        again = examples("writing", [one.key for one in kept], folder, read, config)
        for one, (_, example) in zip(kept, again, strict=True):
            split = lists.get(one.key) or split_of(one.digest, one.digest, config)
            if lists and split == "train" and share(one.digest, "calibration") < config.calibration:
                split = "calibration"
            y = np.full((most, 5), -1, np.float32)
            for row, (label, edges) in enumerate(example.boxes):
                y[row] = [*edges, labels.index(label)]
            splits.add(split, example.pixels, y)
            manifest.add(one.key, split, len(example.boxes), one.digest)
            counts.update({(label, split): count for label, count in one.labels.items()})
    check_labels(counts, labels, "boxes")
    return splits.counts, {label: sum(counts[label, split] for split in SPLITS) for label in labels}
