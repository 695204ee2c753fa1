"""Packages for a board that need no internet there: fetched and unpacked here once, kept, and sent over as a folder."""

import fcntl
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from edge.core import files
from edge.core.errors import UserError

CACHE = Path.home() / ".cache/edge/wheelhouse"
OLDEST = 17  # glibc 2.17, that of manylinux2014: no wheel for ARM is older
WHERE = (
    "they exist for 64-bit Raspberry Pi OS bookworm and trixie; for 32-bit bookworm in device/wheels/litert-armv7l.txt"
)


def pins(requirements: Path) -> str:
    """The packages of a lock file and their versions, for a person to read."""
    found = re.findall(r"^([\w.-]+)==(\S+)", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    return ", ".join(" ".join(pin) for pin in found)


def site(requirements: Path, python: str, machine: str, libc: str, cache: Path = CACHE) -> Path:
    """A folder with the unpacked packages of a lock file, to be put on the board's PYTHONPATH.

    ``python`` is the board's version as 3.11, ``machine`` as Python names it there, ``libc`` the version of glibc as
    2.36. The folder is named after all that, made at the first call and kept in ``cache``. Raises UserError where a
    package has no wheel for the board, or cannot be fetched.
    """
    if not (re.fullmatch(r"3\.\d+", python) and re.fullmatch(r"\w+", machine) and re.fullmatch(r"2\.\d+", libc)):
        raise UserError(
            f"no wheels for a board with Python {python!r}, machine {machine!r} and glibc {libc!r}: {WHERE}"
        )
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(int(libc[2:]), OLDEST - 1, -1)]
    platforms += [f"manylinux2014_{machine}"]
    words = [f"--platform={platform}" for platform in platforms]
    words += [f"--python-version={python}", "--implementation=cp", f"--abi=cp{python.replace('.', '')}"]
    key = hashlib.sha256("\n".join([requirements.read_text(encoding="utf-8"), *words]).encode()).hexdigest()[:16]
    board = f"{machine}, Python {python}, glibc {libc}"
    return build_once(cache / key, lambda folder: fetch(requirements, words, board, folder))


def fetch(requirements: Path, words: list[str], board: str, folder: Path) -> None:
    """Have pip fetch the packages and unpack them into ``folder``; raises UserError."""
    print(f"fetching {pins(requirements)} for {board}, once", file=sys.stderr, flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
    pip += ["--no-compile", "--only-binary=:all:", "--require-hashes", *words]
    pip += ["--target", str(folder), "-r", str(requirements)]
    done = subprocess.run(pip, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    if "Retrying (" in done.stderr:
        raise UserError(f"{requirements.stem} for {board}: the package index is out of reach: connect, and run again")
    if missing := re.search(r"No matching distribution found for (\S+)", done.stderr):
        raise UserError(f"{requirements.stem}: {missing[1]} has no wheel for {board}: {WHERE}")
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["ERROR: no message"]
    raise UserError(f"{requirements.stem} for {board}: pip failed ({lines[-1].removeprefix('ERROR: ')})")


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """The folder ``target``, made by ``build`` unless it is there; a second process waits for the first one's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        with open(target.with_name(f".{target.name}.lock"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                with files.atomic(target) as folder:
                    folder.mkdir()
                    build(folder)
    return target
