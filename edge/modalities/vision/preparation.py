"""From collected pictures to shards: decoded by several threads, resized, checked, split by group.

Pictures pass through in chunks. What they become is kept on disk until all are seen, since only then is it known which
of them contradict each other. So memory hardly depends on how many there are.
"""

import functools
import hashlib
import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edge.core.errors import UserError
from edge.data import collected
from edge.data.labels import distinct
from edge.data.rejected import CONTRADICTION, DUPLICATE, Rejected, Table
from edge.data.shards import Spec, Tensor
from edge.data.splits import check_labels, repeated, split_of
from edge.data.writer import Splits
from edge.modalities.vision import pictures
from edge.modalities.vision.collection import TAR

CHUNK, CHUNK_BYTES = 64, 64 << 20  # files in memory at a time, at most, and their bytes, about
MOST, LEAST = 64, 4  # pixels of the longer and of the shorter side where the settings leave the size open
THREADS = 4  # at most; each holds a whole picture
REASONS = (
    pictures.NOT_A_PICTURE,
    pictures.EMPTY,
    pictures.DAMAGED,
    pictures.TOO_LARGE,
    pictures.UNSUPPORTED,
    CONTRADICTION,
    DUPLICATE,
)


def prepare(raw: Path, out: Path, config) -> dict:
    """Write uint8 shards [n, height, width, channels], spec.json, manifest.csv and rejected.csv; returns counts.

    Of pictures with equal pixels the first stays; where their labels differ, all are rejected. Pictures of a group are
    in one split. Raises UserError when too many are rejected or when the splits do not hold every label.
    """
    shape = shape_of(raw, config)
    converted, kept, groups = Counter(), Counter(), set()
    labels = _labels(raw)
    with tempfile.TemporaryFile(dir=out) as store, Rejected(out) as rejected:
        digests: list[bytes | None] = []  # of the pixels of each picture; None: it is unreadable
        for row, found in decoded(raw, shape, config.keep_aspect):
            if isinstance(found, pictures.Unreadable):
                rejected.reject(row["id"], "", found.reason, found.detail)
                digests.append(None)
                continue
            pixels, changes = found
            store.write(pixels.tobytes())
            digests.append(hashlib.sha256(pixels.tobytes()).digest())
            converted.update(changes)
        left_out = repeated((digest, row["label"]) for row, digest in _readable(raw, digests))
        store.seek(0)
        with (
            Splits(out, ("uint8", shape), ("int64", ())) as splits,
            Table(out / "manifest.csv", "id", "label", "group", "split", "sha256") as manifest,
        ):
            for index, (row, digest) in enumerate(_readable(raw, digests)):
                digest = digest.hex()
                pixels = np.frombuffer(store.read(math.prod(shape)), np.uint8)
                if index in left_out:
                    rejected.reject(row["id"], "", left_out[index], f"pixels {digest[:12]}")
                    continue
                label, group = row["label"], row["group"]
                split = split_of(group or digest, digest, config)
                splits.add(split, pixels, labels.index(label))
                manifest.add(row["id"], label, group, split, digest)
                kept[label, split] += 1
                groups |= {group} - {""}
    rejected.check(kept.total(), config.max_rejected, "pictures")
    check_labels(kept, labels, "pictures")
    ends = Tensor("pixels", shape), Tensor("scores", (len(labels),))
    Spec(*ends, labels, {"pixel_range": [0, 255], "keep_aspect": config.keep_aspect}).save(out)
    reasons = dict.fromkeys(REASONS, 0) | rejected.counts
    return splits.counts | {"rejected": reasons, "converted": dict(converted), "groups": len(groups)}


def _readable(raw: Path, digests: list[bytes | None]) -> Iterator[tuple[dict[str, str], bytes]]:
    """The rows of the manifest whose files could be read, with the digests of their pixels."""
    return (pair for pair in zip(collected.rows(raw), digests, strict=True) if pair[1])


def _labels(raw: Path) -> tuple[str, ...]:
    """The labels of the manifest, sorted; raises UserError where one of them could not name a class."""
    try:
        return tuple(distinct(sorted({row["label"] for row in collected.rows(raw, "label", "group")})))
    except ValueError as error:
        raise UserError(f"{raw}/manifest.csv is damaged ({error}): {collected.AGAIN}") from None


def shape_of(raw: Path, config) -> tuple[int, int, int]:
    """Height, width and channels of the settings; what they leave open is that of the first picture that can be read.

    A longer side than MOST pixels becomes MOST. Raises UserError where no picture can be read.
    """
    if config.size and config.channels:
        return *config.size, config.channels
    for _, data in collected.files(raw, TAR):
        try:
            pixels, converted, _ = pictures.read(data)
        except pictures.Unreadable:
            continue
        share = min(1, MOST / max(pixels.shape[:2]))
        size = config.size or [max(LEAST, round(side * share)) for side in pixels.shape[:2]]
        return *size, config.channels or (1 if "grey" in converted.split(", ") else 3)
    raise UserError(f"none of the files in {raw} is a picture that can be read: change collect.source in the config")


def decoded(
    raw: Path, shape: tuple[int, int, int], keep_aspect: bool
) -> Iterator[tuple[dict[str, str], tuple[np.ndarray, list[str]] | pictures.Unreadable]]:
    """Each row of the manifest with what its file gives: (pixels of this ``shape``, changes), or why it gives none.

    Threads decode; the order is that of the manifest, however many there are.
    """
    read = functools.partial(example, shape=shape, keep_aspect=keep_aspect)
    with (
        ThreadPoolExecutor(min(THREADS, len(os.sched_getaffinity(0)))) as pool,
        tqdm(desc="preparing", unit="picture") as bar,
    ):
        for rows, files in _chunks(collected.files(raw, TAR)):
            yield from zip(rows, pool.map(read, files), strict=True)
            bar.update(len(rows))


def _chunks(files: Iterator[tuple[dict[str, str], bytes]]) -> Iterator[tuple[list[dict[str, str]], list[bytes]]]:
    """Rows and bytes, as many at a time as CHUNK and CHUNK_BYTES allow."""
    rows, chunk, size = [], [], 0
    for row, data in files:
        rows.append(row)
        chunk.append(data)
        size += len(data)
        if len(rows) == CHUNK or size > CHUNK_BYTES:
            yield rows, chunk
            rows, chunk, size = [], [], 0
    if rows:
        yield rows, chunk


def example(
    data: bytes, shape: tuple[int, int, int], keep_aspect: bool
) -> tuple[np.ndarray, list[str]] | pictures.Unreadable:
    """A file's bytes as pixels, uint8 [height, width, channels], and what was changed; or why it is no example.

    Grey is no change where one channel is asked for; colour is weighted as ITU-R BT.601 has it.
    """
    height, width, channels = shape
    try:
        picture = pictures.read(data, near=(height, width))
    except pictures.Unreadable as error:
        return error
    pixels = pictures.resize(picture.pixels, height, width, keep_aspect).pixels
    changes = picture.converted.split(", ") if picture.converted else []
    if channels == 1:
        changes = [change for change in changes if change != "grey"]
        pixels = pictures.grey(pixels)
    return pixels, changes
