"""Runs every benchmark in turn and writes the table of docs/results.md: some two hours on two cores.

    python -m benchmarks [--only NAME ...]

All rows are of one commit, so files that differ from it stop the run; what the pipeline writes may differ. A benchmark
that fails is a row, and the others go on. With --only the rows are printed and nothing is written.
"""

import argparse
import os
import pkgutil
import re
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import benchmarks
from benchmarks.clone import ROOT
from edge.core import errors, files
from edge.core.errors import UserError

RESULTS = ROOT / "docs/results.md"
START, END = "<!-- `python -m benchmarks` writes from here", "to here -->"
OUTPUTS = ("data", "docs/results.md", "dvc.lock", "metrics", "models", "plots")
HEAD = "| what | asked | measured | by `python -m benchmarks.` |\n|---|---|---|---|"
NAMES = sorted(
    module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in ("__main__", "clone")
)


def git(*words: str) -> str:
    """What git prints about this repository."""
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def refuse_changes() -> None:
    """Raise UserError where a file in git is not as it was committed, except for outputs of the pipeline."""
    excluded = [f":(exclude){path}" for path in OUTPUTS]
    changed = git("diff", "HEAD", "--name-only", "--", ".", *excluded).splitlines()
    if changed:
        raise UserError(f"{', '.join(changed[:5])} differ from the last commit, whose figures these are to be: commit")


def rows(name: str) -> tuple[list[str], bool]:
    """Run a benchmark; returns its rows, and whether it ended well. Where it did not, the last row says why."""
    words = [sys.executable, "-m", f"benchmarks.{name}"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found, last = [], ""
    with process:
        for line in process.stdout:
            if line.startswith("| "):
                found.append(f"{line.rstrip()} {name} |")
                print(found[-1], flush=True)
            else:
                print(line, end="", file=sys.stderr, flush=True)
                last = line.strip() or last
    if process.returncode:
        found.append(f"| {name} | | failed: {last.replace('|', '/')} | {name} |")
        print(found[-1], flush=True)
    return found, process.returncode == 0


def machine() -> str:
    """The model of the processor and how many of its cores this process may use."""
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return f"{model[1].strip() if model else 'unknown processor'}, {len(os.sched_getaffinity(0))} cores"


def write(path: Path, header: str, table: list[str]) -> None:
    """Put header and table between the two comments of the file, which is replaced at once."""
    before, start, rest = path.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise UserError(f"{path} lacks one of the two comments that the table goes between: {START!r} and {END!r}")
    body = "\n".join((header, "", HEAD, *table))
    with files.atomic(path) as temporary:
        temporary.write_text(f"{before}{start} -->\n\n{body}\n\n<!-- {end}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=NAMES, help="print the rows of these, and write nothing")
    chosen = parser.parse_args().only
    if not chosen:
        refuse_changes()
    commit, start = git("rev-parse", "--short", "HEAD"), time.monotonic()
    print(HEAD, flush=True)
    table, failed = [], []
    for name in chosen or NAMES:
        found, good = rows(name)
        table += found
        failed += [] if good else [name]
    took = f"{(time.monotonic() - start) / 60:.0f} min"
    print(f"all benchmarks took {took}", file=sys.stderr)
    if not chosen:
        write(RESULTS, f"Commit {commit}, {date.today().isoformat()}, {machine()}; all of it took {took}.", table)
    if failed:
        raise UserError(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    errors.run(main)
