"""Where labelled pictures come from: each source fills a folder with pictures.tar, manifest.csv and skipped.csv.

``pictures.tar`` holds the files as they came, under their id, sorted; ``manifest.csv`` has a row a picture (id, label,
group, source, sha256) in the same order. A group (a person, a place) leaks: its pictures are split together. It is
empty where each picture stands for itself. ``skipped.csv`` has a row for each file that was left out (file, reason).
"""

import functools
import io
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from tqdm import tqdm

from edge.core.errors import UserError
from edge.data import archive, collected, fetch, labels
from edge.modalities.vision import pictures

TAR = "pictures.tar"
SIGNS = (  # Apache-2.0, ardamavi/Sign-Language-Digits-Dataset
    None,
    "84469e182439ddbc04dc32bafe7da089582381d4d866507b7f3baa7f72a6783a",
    "sign_language_digits.tar.gz",
)
SIGN = re.compile(r"/Dataset/(?P<digit>\d)/IMG_(?P<number>\d+)\.JPG$")


def digits(config, out: Path, seed: int) -> None:
    """The 1,797 handwritten digits that scikit-learn bundles: 8 x 8 pixels, grey (Alpaydin, Kaynak, UCI)."""
    from PIL import Image
    from sklearn.datasets import load_digits

    bunch = load_digits()
    rows = []
    for number, (values, label) in enumerate(zip(bunch.images, bunch.target, strict=True)):
        file = io.BytesIO()
        Image.fromarray(np.round(values * (255 / 16)).astype(np.uint8)).save(file, "PNG")  # values are 0 to 16
        rows.append((f"{number:04}.png", str(label), "", file.getvalue()))
    store(out, "digits", rows)


def sign_language_digits(config, out: Path, seed: int) -> None:
    """Digits that pupils show with a hand: 2,062 photos, 100 x 100 pixels; a group is a person."""
    url, sha256, name = SIGNS
    packed = fetch.fetch(url, sha256, fetch.cache() / name)
    with archive.members(packed, SIGN.search, config.limits.unpacked) as members:
        rows = [(SIGN.search(name), name) for name in members.names]
        photos = sorted((int(match["number"]), match["digit"], name) for match, name in rows)
        groups = persons([digit for _, digit, _ in photos])
        rows = [
            (f"{digit}/IMG_{number:04}.jpg", digit, f"person{photos[first][0]:04}", name)
            for (number, digit, name), first in zip(photos, groups, strict=True)
        ]
        store(out, "sign_language_digits", _with_bytes(rows, members), members.skipped)


def persons(digits: list[str]) -> list[int]:
    """For photos in the order in which they were taken, the index of the first one of the same person.

    Each person showed the digits from 0 up: where the digit falls, the next one came.
    """
    found = []
    for index, digit in enumerate(digits):
        found.append(index if not index or digit < digits[index - 1] else found[-1])
    return found


def directory(config, out: Path, seed: int) -> None:
    """One's own pictures: a tree label/file or label/group/file, or an archive of one.

    A single folder around the labels, as archives have, does not count. Every file that is not taken is listed with its
    reason. Raises UserError for a label that could not name a file.
    """
    if config.directory.path is None:
        raise UserError("collect.directory.path is empty: name the folder or archive of source directory")
    path = collected.home(config.directory.path)
    unread: dict[str, str] = {}
    with archive.members(path, functools.partial(_is_picture, unread=unread), config.limits.unpacked) as members:
        members.skipped.update(unread)
        around = collected.around(members.names) if members.names else 0
        rows = []
        for name in members.names:
            parts = [unicodedata.normalize("NFC", part) for part in PurePosixPath(name).parts[around:]]
            if len(parts) not in (2, 3):
                members.skipped[name] = "in no label folder" if len(parts) < 2 else "deeper than label/group/file"
                continue
            group = parts[1] if len(parts) == 3 else ""
            if config.directory.group:
                group = _group(config.directory.group, name)
            rows.append((name, parts[0], group, name))
        try:
            labels.distinct(sorted({label for _, label, _, _ in rows}))
        except ValueError as error:
            raise UserError(f"a label folder in {path}: {error}") from None
        store(out, "directory", _with_bytes(rows, members), members.skipped)


def _is_picture(name: str, unread: dict[str, str]) -> bool:
    """Does the file's suffix say that it can be read? Where not, the reason goes into ``unread``."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in pictures.SUFFIXES:
        return True
    unread[name] = f"format {suffix} is not read: convert pictures to png or jpg" if suffix else "no suffix in its name"
    return False


def _group(pattern: str, name: str) -> str:
    """The group that a file name tells; raises UserError where the pattern finds none."""
    match = re.search(pattern, PurePosixPath(name).name)
    if not match or not match["group"]:
        raise UserError(f"collect.directory.group finds no group in {name}: mend the pattern or the name")
    return unicodedata.normalize("NFC", match["group"])


def _with_bytes(rows: list[tuple[str, str, str, str]], members: archive.Members) -> Iterable:
    """Rows (id, label, group, name in the archive) sorted by id, with the bytes in place of the name."""
    for row in tqdm(sorted(rows), "collecting", unit="picture"):
        yield *row[:3], members.read(row[3])


def store(
    out: Path, source: str, rows: Iterable[tuple[str, str, str, bytes]], skipped: dict[str, str] | None = None
) -> None:
    """Write rows (id, label, group, bytes of the file), sorted by id, and what was ``skipped`` with the reasons.

    Raises UserError where there are none.
    """
    collected.tell_skipped(skipped or {}, out)
    with collected.Packed(out, TAR, "label", "group", "source") as packed:
        for name, label, group, data in rows:
            packed.add(name, data, label, group, source)
    if not packed.last:
        left_out = f" (left out: {collected.summary(skipped)})" if skipped else ""
        raise UserError(f"source {source} has no pictures{left_out}: change collect.source in the config")


SOURCES = {source.__name__: source for source in (digits, sign_language_digits, directory)}
