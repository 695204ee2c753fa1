"""Files that are whole or absent: written under a temporary name, renamed when complete."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.core.errors import FULL, UserError


@contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; it replaces ``target`` (file or folder) only if the block succeeds.

    A folder that was being replaced when the process was killed is put back by the next call. Raises UserError, naming
    ``target``, when the disk is full.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.partial")
    old = target.with_name(f".{target.name}.old")
    if old.exists() and not target.exists():
        old.rename(target)
    remove(temporary)
    try:
        yield temporary
        remove(old)
        if target.is_dir():
            target.rename(old)
        temporary.replace(target)
        remove(old)
    except OSError as error:
        if error.errno in FULL:
            raise UserError(f"no space left on the disk while {target} was written: free some and run again") from None
        raise
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder tree if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def digest(path: Path, algorithm: str) -> str:
    """Hex digest of a file by an algorithm of hashlib, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def sha256(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    return digest(path, "sha256")


def write_json(path: Path, content: object) -> None:
    """Write JSON with sorted keys, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
