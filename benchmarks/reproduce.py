"""Runs the pipeline twice from nothing, in two fresh clones of the last commit, and compares what came out.

The folders have different names, and the second run may use one processor only. Every stage runs but the last, whose
outputs are measured, and every hash in the two dvc.lock has to be the same. What differs is named with both hashes and
its first byte that differs. Whether the hashes are also those of the committed dvc.lock is said, and no failure: other
CPU families may train other weights.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.clone import Clone, row
from edge.core import errors
from edge.core.errors import UserError

MEASURES = "evaluate-on-device"
BLOCK = 1 << 20
SHOWN = 5


def computed(file: Path) -> dict[str, dict]:
    """The stages of a dvc.yaml or dvc.lock by name, but the one that measures; empty where there is no file."""
    stages = yaml.safe_load(file.read_text())["stages"] if file.exists() else {}
    return {name: stage for name, stage in stages.items() if name != MEASURES}


def hashes(folder: Path, kinds: tuple[str, ...] = ("deps", "outs")) -> dict[str, str]:
    """The hash of every path in the dvc.lock of a repository but measurements; empty where there is no dvc.lock."""
    stages = computed(folder / "dvc.lock").values()
    return {entry["path"]: entry["md5"] for stage in stages for kind in kinds for entry in stage.get(kind, [])}


def first_difference(first: Path, second: Path) -> int | None:
    """The offset of the first byte in which two files differ, the shorter one's end included; None for equal files."""
    with open(first, "rb") as one, open(second, "rb") as other:
        start = 0
        while (left := one.read(BLOCK)) == (right := other.read(BLOCK)):
            if not left:
                return None
            start += BLOCK
    pairs = enumerate(zip(left, right, strict=False))
    return start + next((at for at, (a, b) in pairs if a != b), min(len(left), len(right)))


def tree(path: Path) -> set[Path]:
    """The files below a folder, relative to it; for a file itself, the empty path; nothing where there is nothing."""
    files = {path} if path.is_file() else path.rglob("*")
    return {file.relative_to(path) for file in files if file.is_file()}


def where(path: Path, first: Path, second: Path) -> str:
    """Where the file ``path``, or each of the first SHOWN files in that folder, differs between two repositories."""
    left, right = tree(first / path), tree(second / path)
    found = [f"{path / file} is in one clone only" for file in sorted(left ^ right)]
    for file in sorted(left & right):
        offset = first_difference(first / path / file, second / path / file)
        if offset is not None:
            found.append(f"{path / file} from byte {offset}")
    more = [f"and {len(found) - SHOWN} more files"] if len(found) > SHOWN else []
    return ", ".join(found[:SHOWN] + more) or "the files are equal now: they changed after their stage"


def differences(first: Path, second: Path) -> list[str]:
    """A line for each path whose hash differs between the dvc.lock of two repositories that were run."""
    one, other = hashes(first), hashes(second)
    return [
        f"{path}: {one.get(path)} and {other.get(path)}: {where(Path(path), first, second)}"
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    ]


def against_commit(committed: dict[str, str], made: dict[str, str]) -> str:
    """How what was made compares with the committed dvc.lock, in words."""
    other = sorted(path for path in made if made[path] != committed.get(path))
    if not other:
        return "This machine gives the hashes of the committed dvc.lock."
    return f"This machine gives other hashes than the committed dvc.lock for {', '.join(other)}."


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="edge-reproduce-") as folder:
        first, second = (Clone(Path(folder, name)) for name in ("first", "second"))
        committed = hashes(first.folder, ("outs",))
        try:
            repro = ["dvc", "repro", "--force", *computed(first.folder / "dvc.yaml")]  # none comes from a cache
            first.run(*repro)
            second.run("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), *repro)
        except subprocess.CalledProcessError as error:
            raise UserError(f"`dvc repro` in a fresh clone ended with exit status {error.returncode}") from None
        made, again = (hashes(one.folder, ("outs",)) for one in (first, second))
        print(against_commit(committed, made), file=sys.stderr)
        found = differences(first.folder, second.folder)
    for line in found:
        print(f"differs: {line}", file=sys.stderr)
    row(
        "outputs with the same hash in two runs from nothing",
        "all",
        f"{len(made.items() & again.items())} of {len(made)}",
    )
    if found:
        raise UserError(f"two runs from nothing differ in {len(found)} paths, named above")


if __name__ == "__main__":
    errors.run(main)
