"""Archives and folders read alike: names in sorted order, bytes on demand, nothing ever written outside.

A tar is read once, in its own order, into an unnamed temporary file, so that its members can then be read in any order
with flat memory. What an archive says of its sizes is not believed: every read is bounded.
"""

import bz2
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from edge.core.errors import FULL, UserError

OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, RuntimeError)
DAMAGE += (ValueError, OverflowError, struct.error)  # numbers in a header that mean nothing
HEADER = 1 << 20  # bytes that one header of a tar may have
PIECE = 4096  # compressed bytes of a zip that are unpacked at a time
HIDDEN, LINK, ODD, CONTROL = "hidden", "symbolic link", "no plain file", "control character in its name"


class Limits(NamedTuple):
    """Bytes unpacked: of one ``file`` (a larger one is skipped) and in ``total`` (more is an error)."""

    file: int = 50 * 10**6
    total: int = 20 * 10**9


LIMITS = Limits()


class Members(NamedTuple):
    """File names (posix, relative, sorted), how to read the bytes of one, and the reason of each that is left out."""

    names: list[str]
    read: Callable[[str], bytes]
    skipped: dict[str, str]


@contextmanager
def members(
    path: Path, wanted: Callable[[str], bool] = lambda name: True, limits: Limits = LIMITS
) -> Iterator[Members]:
    """Yield the ``wanted`` files of a folder tree, a zip or a tar (plain, gz, bz2, xz).

    Hidden files, files above ``limits.file``, links of a folder and names with control characters are left out, each
    with its reason in ``skipped``. Raises UserError, naming archive and member, for an archive that is damaged or ends
    early, for more than ``limits.total`` bytes, and for members that climb out of the archive, are links or devices.
    """
    path = Path(path)
    skipped: dict[str, str] = {}

    def chosen(name: str, size: int) -> bool:
        """Is the file read? Where it is left out against its name, the reason goes into ``skipped``."""
        try:
            name.encode()
        except UnicodeEncodeError:
            raise UserError(f"{path}: {name!r} is no UTF-8 file name: rename it") from None
        if any(part.startswith(".") for part in PurePosixPath(name).parts):
            skipped[name] = HIDDEN
        elif any(unicodedata.category(sign) == "Cc" for sign in name):
            skipped[name] = CONTROL
        elif wanted(name):
            if size <= limits.file:
                return True
            skipped[name] = f"larger than collect.limits.file_mb = {limits.file / 10**6:g}"
        return False

    if path.is_dir():
        yield _folder(path, chosen, limits, skipped)
        return
    if not path.is_file():
        raise UserError(f"{path} does not exist: give a folder or an archive")
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic.startswith(b"PK"):
        with _zip(path, chosen, limits, skipped) as found:
            yield found
    else:
        opener = next((opener for start, opener in OPENERS.items() if magic.startswith(start)), open)
        with _temporary() as store:
            index = _unpack(path, opener, chosen, limits, store)

            def read(name: str) -> bytes:
                offset, size = index[name]
                store.seek(offset)
                return store.read(size)

            yield Members(sorted(index), read, skipped)


def check(path: Path, name: str, plain: bool) -> None:
    """Raise UserError for a member that is not a plain file or folder inside the archive."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or parts.parts[:1] and parts.parts[0].endswith(":"):
        raise UserError(f"{path}: member {name!r} points outside of the archive: use an archive that you trust")
    if not plain:
        raise UserError(f"{path}: member {name!r} is a link or a device: pack plain files only")


def _within(path: Path, total: int, limits: Limits) -> None:
    """Raise UserError where ``total`` unpacked bytes are more than the limit."""
    if total > limits.total:
        raise UserError(
            f"{path} has more than {limits.total / 10**9:g} GB unpacked: raise collect.limits.archive_gb or take a part"
        )


def _temporary() -> BinaryIO:
    """An unnamed temporary file; raises UserError where no folder for one can be written."""
    try:
        return tempfile.TemporaryFile()
    except FileNotFoundError:
        folder = os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - named in the message only
        raise UserError(f"no temporary file can be written in {folder}: free some space, or set TMPDIR") from None


def _folder(path: Path, chosen: Callable[[str, int], bool], limits: Limits, skipped: dict[str, str]) -> Members:
    """The files of a folder tree; links are not followed."""

    def fail(error: OSError) -> None:
        raise error

    found, total = {}, 0
    for folder, folders, names in os.walk(path, onerror=fail):
        kept = []
        for name in folders + names:
            file = Path(folder, name)
            relative = _utf8(path, file.relative_to(path).as_posix())
            mode = file.lstat()
            if stat.S_ISLNK(mode.st_mode):
                skipped[relative] = LINK
            elif stat.S_ISDIR(mode.st_mode):
                if name.startswith("."):
                    skipped[relative] = HIDDEN
                else:
                    kept.append(name)
            elif not stat.S_ISREG(mode.st_mode):
                skipped[relative] = ODD
            elif chosen(relative, mode.st_size):
                found[relative] = file
                total += mode.st_size
        folders[:] = kept
    _within(path, total, limits)

    def read(name: str) -> bytes:
        with open(found[name], "rb") as file:
            data = file.read(limits.file + 1)
        if len(data) > limits.file:
            raise UserError(f"{found[name]} grew while it was read: wait until it is complete and run again")
        return data

    return Members(sorted(found), read, skipped)


def _utf8(path: Path, name: str) -> str:
    """A file name as UTF-8 has it, whatever the locale; raises UserError where it is none."""
    try:
        return os.fsencode(name).decode()
    except UnicodeError:
        raise UserError(f"{path}: {name!r} is no UTF-8 file name: rename it") from None


class Forward:
    """A stream that goes forward only, as ``tarfile`` reads one, and trusts no header.

    A read of more than HEADER bytes (the headers of a tar are read whole) and more than ``limits.total`` bytes in all
    are errors. ``block`` is what was read last.
    """

    def __init__(self, path: Path, stream: BinaryIO, limits: Limits):
        self.path, self.stream, self.limits = path, stream, limits
        self.position, self.block = 0, b""

    def tell(self) -> int:
        return self.position

    def read(self, size: int) -> bytes:
        if not 0 <= size <= HEADER:
            raise tarfile.ReadError(f"a header asks for {size} bytes")
        self.block = self.stream.read(size)
        self.position += len(self.block)
        _within(self.path, self.position, self.limits)
        return self.block

    def seek(self, position: int) -> None:
        """Read on to ``position``; a stream that ends before stays at its end."""
        if position < self.position:
            raise tarfile.ReadError("a header points back")
        while self.position < position and self.read(min(HEADER, position - self.position)):
            pass


def _unpack(
    path: Path, opener: Callable, chosen: Callable[[str, int], bool], limits: Limits, store: BinaryIO
) -> dict[str, tuple[int, int]]:
    """Copy the chosen members of a tar into ``store``; returns name -> (offset, size) in it."""
    index, name = {}, "its first member"
    try:
        with opener(path, "rb") as file:
            stream = Forward(path, file, limits)
            with tarfile.TarFile(fileobj=stream, mode="r", encoding="utf-8") as tar:
                for member in tar:
                    name = member.name
                    plain = member.isfile() and not member.issparse()
                    check(path, name, plain or member.isdir())
                    if member.size < 0:
                        raise tarfile.ReadError(f"its size is {member.size}")
                    _within(path, stream.tell() + member.size, limits)
                    clean = PurePosixPath(name).as_posix()
                    if plain and chosen(clean, member.size):
                        index[clean] = (store.tell(), member.size)
                        shutil.copyfileobj(tar.extractfile(member), store)
                    tar.members = []
                if stream.block.strip(b"\0"):
                    raise tarfile.ReadError("the header after it is damaged")
            while stream.read(HEADER):  # to the end, where the compression keeps its checksum
                pass
    except DAMAGE as error:
        if getattr(error, "errno", None) in FULL:
            raise UserError(f"no space left in {tempfile.gettempdir()} to unpack {path}: free some") from None
        raise UserError(f"{path} is damaged or ends early, at {name}: fetch or pack it again ({error})") from None
    return index


@contextmanager
def _zip(path: Path, chosen: Callable[[str, int], bool], limits: Limits, skipped: dict[str, str]) -> Iterator[Members]:
    """The members of a zip, unpacked when they are read, in pieces, to no more than the size that the zip states."""
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise UserError(
            f"{path} is damaged or ends early, its list of members: fetch or pack it again ({error})"
        ) from None
    with archive:
        found, total = {}, 0
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            check(path, info.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
            clean = PurePosixPath(info.filename).as_posix()
            if not info.is_dir() and chosen(clean, info.file_size):
                found[clean] = info
                total += info.file_size
        _within(path, total, limits)

        def read(name: str) -> bytes:
            try:
                with archive.open(found[name]) as file:
                    return b"".join(iter(lambda: file.read(PIECE), b""))
            except DAMAGE as error:
                raise UserError(f"{path} is damaged at {name}: fetch or pack it again ({error})") from None

        yield Members(sorted(found), read, skipped)
