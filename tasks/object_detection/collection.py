"""Where pictures with boxes come from: each source fills a folder with voc.tar, manifest.csv and skipped.csv.

``voc.tar`` holds one or more Pascal VOC folders, their files as they came.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from edge.core.errors import UserError
from edge.data import archive, collected, fetch
from tasks.object_detection import voc
from tasks.object_detection.scenes import files as drawn

PACKED = "voc.tar"
BCCD = "bccd.tar.gz", "ba367bafd3bb0f468f8c84040b4c46646835bf71e4a957706a9c41cbd0c0dc60"  # MIT, Shenggan/BCCD_Dataset


def scenes(config, out: Path, seed: int) -> None:
    """Discs, rings and dots on an uneven ground."""
    store(drawn(config.scenes, seed), 2 * config.scenes.pictures, out)
    collected.tell_skipped({}, out)


def bccd(config, out: Path, seed: int) -> None:
    """364 pictures of blood cells, 640 x 480, with lists of their own; from a mirror folder."""
    name, sha256 = BCCD
    copy(fetch.fetch(None, sha256, fetch.cache() / name), config, out)


def directory(config, out: Path, seed: int) -> None:
    """One's own folder or archive in the form of Pascal VOC. Raises UserError where it has no such form."""
    if config.voc.path is None:
        raise UserError("collect.voc.path is empty: name the folder or archive of source voc")
    copy(collected.home(config.voc.path, "collect.voc.path"), config, out)


def copy(path: Path, config, out: Path) -> None:
    """Take what belongs to Pascal VOC folders out of a folder or an archive; what is left out is listed."""
    with archive.members(path, voc.wanted, config.limits.unpacked) as members:
        counts = store(((name, members.read(name)) for name in members.names), len(members.names), out)
        collected.tell_skipped(members.skipped, out)
    if missing := [part for part in (voc.PICTURES, voc.ANNOTATIONS) if not counts[part]]:
        raise UserError(f"{path} has no files in {' and '.join(missing)}: give a folder in the form of Pascal VOC")


def store(files: Iterable[tuple[str, bytes]], count: int, out: Path) -> Counter:
    """Pack ``count`` files (name, content), sorted by name; returns how many lie in each part of a VOC folder."""
    counts = Counter()
    with collected.Packed(out, PACKED) as packed:
        for name, data in tqdm(files, "collecting", count, unit="file"):
            packed.add(name, data)
            counts[voc.place(name).part] += 1
    return counts


SOURCES = {"scenes": scenes, "bccd": bccd, "voc": directory}
