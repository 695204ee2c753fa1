"""What collect brings, whatever it is of: the files as they came in one tar, a row for each, and what was left out."""

import csv
import hashlib
import io
import sys
import tarfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edge.core.errors import UserError
from edge.data.rejected import Table

NAMED = 3  # files that the summary of what is left out names for each reason
AGAIN = "run `dvc repro --force collect`"


class Packed:
    """A tar of files under their id, and manifest.csv with a row (id, ``columns``…, sha256) for each, in that order.

    The headers of the tar never vary, so equal files make equal bytes. Example: ``with Packed(out, "pictures.tar",
    "label") as packed: packed.add("cat/1.png", data, "cat")``.
    """

    def __init__(self, out: Path, name: str, *columns: str):
        self.path, self.last = out / name, ""
        self.manifest = Table(out / "manifest.csv", "id", *columns, "sha256")

    def __enter__(self):
        self.tar = tarfile.open(self.path, "w", encoding="utf-8")  # noqa: SIM115 - closed in __exit__
        self.manifest.__enter__()
        return self

    def __exit__(self, *error):
        self.manifest.__exit__(*error)
        self.tar.close()

    def add(self, name: str, data: bytes, *values) -> None:
        """Append one file; names are unique and sorted."""
        assert name > self.last, "names are unique and sorted"
        entry = tarfile.TarInfo(name)  # mtime, uid and gid are 0
        entry.size = len(data)
        self.tar.addfile(entry, io.BytesIO(data))
        self.tar.members = []
        self.manifest.add(name, *values, hashlib.sha256(data).hexdigest())
        self.last = name


def rows(raw: Path, *columns: str) -> Iterator[dict[str, str]]:
    """The rows of manifest.csv, in order; raises UserError where it is damaged or lacks one of the ``columns``."""
    try:
        with open(raw / "manifest.csv", newline="", encoding="utf-8") as manifest:
            reader = csv.DictReader(manifest, strict=True)
            if absent := {"id", *columns} - set(reader.fieldnames or ()):
                raise ValueError(f"no column {min(absent)}")
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(f"line {reader.line_num} has another number of cells")
                yield row
    except (csv.Error, ValueError) as error:
        raise UserError(f"{raw}/manifest.csv is damaged ({error}): {AGAIN}") from None


def files(raw: Path, name: str, *columns: str) -> Iterator[tuple[dict[str, str], bytes]]:
    """Each row of manifest.csv with the bytes of its file in the tar ``name``, in order.

    Raises UserError where one of the two is damaged, the manifest lacks one of the ``columns``, or the tar a file.
    """
    try:
        with tarfile.open(raw / name, "r|", encoding="utf-8") as tar:
            for row in rows(raw, *columns):
                while (member := tar.next()) is not None and member.name != row["id"]:
                    pass
                if member is None:
                    raise UserError(f"{raw}/{name} holds no {row['id']} where manifest.csv lists it: {AGAIN}")
                tar.members = []
                yield row, tar.extractfile(member).read()
    except tarfile.TarError as error:
        raise UserError(f"{raw}/{name} is damaged ({error}): {AGAIN}") from None


def around(names: list[str], known: tuple[str, ...] = ()) -> int:
    """1 where one folder, none of the ``known`` labels, holds all label folders, as in most archives; else 0."""
    parts = [PurePosixPath(name).parts for name in names]
    tops = {unicodedata.normalize("NFC", part[0]) for part in parts}
    return int(len(tops) == 1 and min(map(len, parts)) > 2 and not tops & set(known))


def home(path: str, key: str = "collect.directory.path") -> Path:
    """A path of the setting ``key`` with ``~`` replaced; raises UserError where nobody has that name."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"{key} = {path!r}: whose home that is nobody knows, write it out") from None


def tell_skipped(skipped: dict[str, str], out: Path) -> None:
    """Write skipped.csv (file, reason), sorted, and say on stderr in one line how many files were left out and why."""
    with Table(out / "skipped.csv", "file", "reason") as table:
        for row in sorted(skipped.items()):
            table.add(*row)
    if skipped:
        print(f"files left out: {len(skipped)}, listed in skipped.csv: {summary(skipped)}", file=sys.stderr)


def summary(skipped: dict[str, str]) -> str:
    """The reasons, commonest first, each with the number of files and the first of them."""
    by_reason = defaultdict(list)
    for name, reason in sorted(skipped.items()):
        by_reason[reason].append(name if name.isprintable() else ascii(name))
    parts = []
    for reason, names in sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0])):
        more = ", …" if len(names) > NAMED else ""
        parts.append(f"{len(names)} {reason} ({', '.join(names[:NAMED])}{more})")
    return "; ".join(parts)
