"""Archives and folders read alike: names in sorted order, bytes on demand, nothing ever written outside.

A tar is read once, in its own order, into an unnamed temporary file, so that its members can then be read in any order
with flat memory.
"""

import bz2
import errno
import gzip
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from edge.core.errors import UserError

OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, RuntimeError)


class Members(NamedTuple):
    """File names (posix, relative, sorted) and how to read the bytes of one."""

    names: list[str]
    read: Callable[[str], bytes]


@contextmanager
def members(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[Members]:
    """Yield the ``wanted`` files of a folder tree, a zip or a tar (plain, gz, bz2, xz); hidden files are left out.

    Raises UserError, naming archive and member, for one that is damaged or ends early, and for members that climb out
    of the archive, are links or devices.
    """
    path = Path(path)

    def chosen(name: str) -> bool:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise UserError(f"{path}: {name!r} is no UTF-8 file name: rename it") from None
        return not any(part.startswith(".") for part in PurePosixPath(name).parts) and wanted(name)

    if path.is_dir():
        found = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
        yield Members(sorted(filter(chosen, found)), lambda name: found[name].read_bytes())
        return
    if not path.is_file():
        raise UserError(f"{path} does not exist: give a folder or an archive")
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic.startswith(b"PK"):
        with _zip(path, chosen) as found:
            yield found
    else:
        opener = next((opener for start, opener in OPENERS.items() if magic.startswith(start)), open)
        with tempfile.TemporaryFile() as store:
            index = _unpack(path, opener, chosen, store)

            def read(name: str) -> bytes:
                offset, size = index[name]
                store.seek(offset)
                return store.read(size)

            yield Members(sorted(index), read)


def check(path: Path, name: str, plain: bool) -> None:
    """Raise UserError for a member that is not a plain file or folder inside the archive."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or parts.parts[:1] and parts.parts[0].endswith(":"):
        raise UserError(f"{path}: member {name!r} points outside of the archive: use an archive that you trust")
    if not plain:
        raise UserError(f"{path}: member {name!r} is a link or a device: pack plain files only")


def _unpack(path: Path, opener: Callable, chosen: Callable[[str], bool], store) -> dict[str, tuple[int, int]]:
    """Copy the chosen members of a tar into ``store``; returns name -> (offset, size) in it."""
    index, name = {}, "its first member"
    try:
        with opener(path, "rb") as stream:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    name = member.name
                    check(path, name, member.isfile() or member.isdir())
                    clean = PurePosixPath(name).as_posix()
                    if member.isfile() and chosen(clean):
                        index[clean] = (store.tell(), member.size)
                        shutil.copyfileobj(tar.extractfile(member), store)
                    tar.members = []
            while stream.read(1 << 20):  # to the end, where the compression keeps its checksum
                pass
    except DAMAGE as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise UserError(f"no space left in {tempfile.gettempdir()} to unpack {path}: free some") from None
        raise UserError(f"{path} is damaged or ends early, at {name}: fetch or pack it again ({error})") from None
    return index


@contextmanager
def _zip(path: Path, chosen: Callable[[str], bool]) -> Iterator[Members]:
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise UserError(
            f"{path} is damaged or ends early, its list of members: fetch or pack it again ({error})"
        ) from None
    with archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            check(path, info.filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))

        def read(name: str) -> bytes:
            try:
                return archive.read(name)
            except DAMAGE as error:
                raise UserError(f"{path} is damaged at {name}: fetch or pack it again ({error})") from None

        yield Members(sorted(i.filename for i in archive.infolist() if not i.is_dir() and chosen(i.filename)), read)
