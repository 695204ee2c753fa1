"""Measures a model on a board: ``python -m device.measure.runner <bundle> <results> [words that start Python]``.

Travels to the board with the modules beside it: standard library, numpy and the runtime only. It knows tensors, not
what they mean. This process touches no native library; each job runs in a process of its own (device.measure.work).

The bundle holds the models, inputs.npy (integers [n, *shape]), job.json and manifest.sha256. The results folder is
named after the run and appears complete or not at all: results.json, outputs.npy, steps.npz, series.csv (measured
runs only), manifest.sha256 and the mark ``complete``, which holds the manifest's own sha256. Only one runner at a time
measures on a board; a second one waits.

Exit status: 0, or one ``error:`` line on stderr and one of the statuses of device.failure.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from device import health
from device.failure import BUNDLE, MODEL, RUNTIME, STATE, USAGE, Failure, guarded, say

MANIFEST = "manifest.sha256"
COMPLETE = "complete"

LOCK = "/tmp"  # noqa: S108  (nothing is written: a folder that every account on the board can lock)
HEADER = "model,threads,repeat,seconds,ms,temperature_c\n"

SIGNALS = {
    signal.SIGILL: "it uses instructions that this processor lacks: name another version in `wheels`",
    signal.SIGKILL: "out of memory, or killed from outside",
}


def sha256(path: Path) -> str:
    """Hex sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contents(folder: Path) -> list[str]:
    """Every file of a bundle or of results but manifest and mark, by relative path."""
    paths = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(path for path in paths if path not in (MANIFEST, COMPLETE))


def write_manifest(folder: Path) -> str:
    """Write the sha256 of each file in the format of ``sha256sum``; returns the manifest's own sha256."""
    (folder / MANIFEST).write_text(
        "".join(f"{sha256(folder / name)}  {name}\n" for name in contents(folder)), encoding="utf-8"
    )
    return sha256(folder / MANIFEST)


def check_manifest(folder: Path) -> str:
    """The manifest's own sha256; raises Failure(BUNDLE) where a file is missing, unlisted or other than listed."""
    try:
        lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
        listed = dict(reversed(line.split("  ", 1)) for line in lines)
        there = set(contents(folder))
        for name in sorted(listed.keys() | there):
            if name not in listed or name not in there or sha256(folder / name) != listed[name]:
                raise Failure(BUNDLE, f"{folder.name}/{name} is not the file that was sent: its sha256 differs")
        return sha256(folder / MANIFEST)
    except (OSError, ValueError, TypeError) as error:
        raise Failure(BUNDLE, f"{folder.name} is incomplete: {error}") from None


class Children:
    """Starts the jobs of device.measure.work: ``words`` start Python, ``held`` are files that keep the board locked."""

    def __init__(self, words: list[str], bundle: Path, out: Path, held: tuple[int, ...]) -> None:
        self.words, self.bundle, self.out, self.held = words, bundle, out, held

    def __call__(self, job: str, *arguments: object) -> float:
        """Run a job; returns its peak resident MiB. Raises Failure where a signal killed it; ends as it ends."""
        words = [*self.words, "-m", "device.measure.work", job, self.bundle, self.out, *arguments]
        process = subprocess.Popen([str(word) for word in words], pass_fds=self.held)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode < 0:
            killer = signal.Signals(-process.returncode)
            why = SIGNALS.get(killer, "it crashed")
            if job == "preflight":
                raise Failure(RUNTIME, f"killed by {killer.name} while {self.read('preflight.txt')}: {why}")
            raise Failure(MODEL, f"killed by {killer.name} in the job {job}: {why}")
        if process.returncode:
            sys.exit(process.returncode)
        return usage.ru_maxrss / 1024

    def read(self, name: str) -> str:
        """What the last job wrote into a file."""
        return (self.out / name).read_text(encoding="utf-8")


def measure(job: dict, child: Children) -> dict:
    """Latency of both models for each number of threads, again after a pause where the board's state spoils it."""
    limits, rejected = job["limits"], []
    for attempt in range(1, limits["attempts"] + 1):
        passes, reasons = [], []
        with open(child.out / "series.part", "w", encoding="utf-8") as series:
            for repeat in range(job["repeats"]):
                for threads in range(1, min(job["threads"], os.cpu_count() or 1) + 1):
                    child("latency", threads, repeat)
                    series.write(child.read("series.csv"))
                    passes.append(json.loads(child.read("pass.json")))
                    reasons = health.judge([sample for one in passes for sample in one["samples"]], limits)
                    if reasons:
                        break
                if reasons:
                    break
        if not reasons:
            rows = (child.out / "series.part").read_text(encoding="utf-8")
            (child.out / "series.csv").write_text(HEADER + rows, encoding="utf-8")
            samples = [sample for one in passes for sample in one.pop("samples")]
            state = health.summary(samples)
            return {"attempts": attempt, "passes": passes, "rejected": rejected, "state": state}
        rejected.append("; ".join(reasons))
        last = attempt == limits["attempts"]
        pause = "" if last else f"; the next one in {limits['cooldown_s']:g} s"
        say(f"attempt {attempt} of {limits['attempts']} is not to be trusted: {rejected[-1]}{pause}")
        if not last:
            time.sleep(limits["cooldown_s"])
    raise Failure(STATE, f"no measurement can be trusted, {limits['attempts']} were made: {rejected[-1]}")


def run(bundle: Path, results: Path, words: list[str], held: tuple[int, ...]) -> None:
    """Check the bundle, do the jobs, write the results; raises Failure."""
    digest = check_manifest(bundle)
    job = json.loads((bundle / "job.json").read_text(encoding="utf-8"))
    partial = results.with_name(f".{results.name}.partial")
    scratch = partial / "scratch"
    scratch.mkdir(parents=True)
    child = Children(words, bundle, scratch, held)
    (scratch / "preflight.txt").write_text("starting Python", encoding="utf-8")
    child("preflight")
    report = json.loads(child.read("board.json")) | {"bundle": digest, "run_id": results.name}
    report["model_sha256"] = sha256(bundle / job["candidate"])
    say("computing the outputs")
    child("outputs")
    kept = ["outputs.npy", "steps.npz"]
    if job["instructions"]:
        say("counting instructions")
        child("count")
        report["instructions"] = json.loads(child.read("instructions.json"))
    else:
        say(f"measuring, in {job['repeats']} processes for each number of threads")
        report["peak_memory_mb"] = {role: child("memory", role) for role in ("candidate", "baseline")}
        report |= measure(job, child)
        kept.append("series.csv")
        if job["soak_minutes"]:
            say(f"soaking for {job['soak_minutes']:g} minutes")
            child("soak", min(job["threads"], os.cpu_count() or 1))
            samples = json.loads(child.read("soak.json"))["samples"]
            if reasons := health.judge(samples, job["limits"], heat=False):
                raise Failure(STATE, f"the soak is not to be trusted: {'; '.join(reasons)}")
            report["soak"] = health.summary(samples)
            kept.append("soak.csv")
    for name in kept:
        (scratch / name).rename(partial / name)
    shutil.rmtree(scratch)
    (partial / "results.json").write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (partial / COMPLETE).write_text(write_manifest(partial) + "\n", encoding="utf-8")
    partial.rename(results)


def clean_up(folder: Path) -> None:
    """Remove what a run that was cut off left; called while the board is held, so that no such run is alive."""
    for partial in folder.glob(".*.partial"):
        say(f"an earlier run, {partial.name.split('.')[1]}, was cut off: removed")
        shutil.rmtree(partial)


@contextmanager
def hold() -> Iterator[tuple[int, ...]]:
    """Holds the board; waits, and says so, while another runner holds it. Yields the open files.

    The kernel lets go of the lock when its holder is dead, however it died. The folders on PYTHONPATH, bundle and
    packages, are held as well, so that nobody clears them out meanwhile.
    """
    with ExitStack() as stack:
        descriptors = []
        for folder in (*filter(os.path.isdir, os.environ.get("PYTHONPATH", "").split(":")), LOCK):
            descriptors.append(os.open(folder, os.O_RDONLY))
            stack.callback(os.close, descriptors[-1])
        *used, descriptor = descriptors
        for folder in used:
            fcntl.flock(folder, fcntl.LOCK_SH)
            os.utime(folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting: another run holds this board")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield tuple(descriptors)


def main() -> None:
    if len(sys.argv) < 3:
        say("usage: runner.py <bundle> <results> [words that start Python]")
        sys.exit(USAGE)
    bundle, results, words = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or [sys.executable, "-P"]

    def work() -> None:
        with hold() as held:
            clean_up(results.parent)
            run(bundle, results, words, held)

    sys.exit(guarded(work))


if __name__ == "__main__":
    main()
