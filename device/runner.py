"""Measures a model on a board: ``python runner.py <bundle folder> <results folder>``.

Travels to the board alone: standard library, numpy and onnxruntime only. It knows tensors, not what they mean.

The bundle holds model.onnx (one input, one output, first axis 1), inputs.npy (integers [n, *shape]), job.json (threads,
warmup, runs, scale) and manifest.sha256. The results folder is named after the run and appears complete or not at all:
results.json, latencies.npy (int64 [runs], nanoseconds), outputs.npy ([n, ...]), manifest.sha256 and the mark
``complete``, which holds the manifest's own sha256. Only one runner at a time measures on a board; a second one waits.

Exit status: 0, or one ``error:`` line on stderr and one of the statuses below.
"""

import fcntl
import gc
import hashlib
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns

USAGE, BUNDLE, RUNTIME, MODEL, STORAGE = 2, 10, 11, 12, 13

BUNDLE_FILES = ("inputs.npy", "job.json", "model.onnx", "runner.py")
RESULT_FILES = ("latencies.npy", "outputs.npy", "results.json")
MANIFEST = "manifest.sha256"
COMPLETE = "complete"

LOCK = "/tmp"  # noqa: S108  (nothing is written: a folder that every account on the board can lock)
STEADY = 0.02  # two warm-up windows in a row agree within this share
WINDOWS = 20  # warm-up ends after so many windows, steady or not
BATCH = 64  # rows of inputs.npy in memory as float32 at a time


class Failure(Exception):
    """What stops a measurement: a message of one line and the exit status it ends in."""

    def __init__(self, status: int, message: object) -> None:
        super().__init__(" ".join(str(message).split()))
        self.status = status


def sha256(path: Path) -> str:
    """Hex sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, names: tuple[str, ...]) -> str:
    """Write the sha256 of each file in the format of ``sha256sum``; returns the manifest's own sha256."""
    (folder / MANIFEST).write_text("".join(f"{sha256(folder / name)}  {name}\n" for name in names))
    return sha256(folder / MANIFEST)


def check_manifest(folder: Path, names: tuple[str, ...]) -> str:
    """The manifest's own sha256; raises Failure(BUNDLE) where a file is missing, unlisted or other than listed."""
    try:
        listed = dict(reversed(line.split("  ", 1)) for line in (folder / MANIFEST).read_text().splitlines())
        for name in names:
            if sha256(folder / name) != listed.get(name):
                raise Failure(BUNDLE, f"{folder.name}/{name} is not the file that was sent: its sha256 differs")
        return sha256(folder / MANIFEST)
    except (OSError, ValueError, TypeError) as error:
        raise Failure(BUNDLE, f"{folder.name} is incomplete: {error}") from None


def runtime():
    """The onnxruntime module; imported late, so that its absence is one line: Failure(RUNTIME)."""
    try:
        import onnxruntime
    except Exception as error:
        raise Failure(RUNTIME, f"{sys.executable} cannot import the runtime: {error}") from None
    return onnxruntime


def open_session(model: Path, threads: int):
    """A session on the CPU; raises Failure(RUNTIME) without the runtime, Failure(MODEL) without a usable model."""
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    with model_errors():
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    if (counts := (len(session.get_inputs()), len(session.get_outputs()))) != (1, 1):
        raise Failure(MODEL, f"{model.name} has {counts[0]} inputs and {counts[1]} outputs; one of each is supported")
    return session


@contextmanager
def model_errors() -> Iterator[None]:
    """Turns whatever onnxruntime raises into Failure(MODEL)."""
    try:
        yield
    except Exception as error:
        raise Failure(MODEL, f"the model cannot be loaded or run: {error}") from None


def predict(session, stored, scale: float):
    """Outputs [n, ...] for stored integers [n, *shape], one row a run, at most BATCH rows in memory as float32."""
    import numpy as np

    name, rows = session.get_inputs()[0].name, []
    with model_errors():
        for start in range(0, len(stored), BATCH):
            batch = stored[start : start + BATCH].astype(np.float32) * np.float32(scale)
            rows += [session.run(None, {name: batch[row : row + 1]})[0] for row in range(len(batch))]
    return np.concatenate(rows)


def timed(session, feed: dict, runs: int) -> list[int]:
    """Nanoseconds of each of ``runs`` inferences."""
    infer, clock, nanoseconds = session.run, perf_counter_ns, [0] * runs
    for index in range(runs):
        start = clock()
        infer(None, feed)
        nanoseconds[index] = clock() - start
    return nanoseconds


def warm_up(session, feed: dict, window: int) -> tuple[int, bool]:
    """Run windows of inferences until two medians agree: how many inferences that took, and whether it got steady."""
    before = statistics.median(timed(session, feed, window))
    for count in range(2, WINDOWS + 1):
        median = statistics.median(timed(session, feed, window))
        if abs(median - before) <= STEADY * before:
            return count * window, True
        before = median
    return WINDOWS * window, False


def first_input(bundle: Path, session, scale: float) -> dict:
    """The first row of inputs.npy as what ``session.run`` takes."""
    import numpy as np

    row = np.load(bundle / "inputs.npy", mmap_mode="r", allow_pickle=False)[:1]
    return {session.get_inputs()[0].name: row.astype(np.float32) * np.float32(scale)}


def peak_memory_mb(bundle: Path, job: dict) -> float:
    """Peak resident MiB of a process of its own that loads the model and runs it; exits as that process does.

    Called before the runtime is imported here, so that the child starts small.
    """
    child = os.fork()
    if child == 0:
        os._exit(guarded(lambda: memory_run(bundle, job)))
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        sys.exit(code if code > 0 else 128 - code)
    return usage.ru_maxrss / 1024


def memory_run(bundle: Path, job: dict) -> None:
    """What the memory of a run is made of: load, and a few inferences."""
    session = open_session(bundle / "model.onnx", job["threads"])
    with model_errors():
        timed(session, first_input(bundle, session, job["scale"]), 3)


def machine() -> str:
    """The board's model name, or the processor's."""
    try:
        name = Path("/proc/device-tree/model").read_text().strip("\0\n ")
    except OSError:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{name} ({platform.machine()})"


def measure(bundle: Path, job: dict) -> tuple[dict, list[int], object]:
    """What was measured (milliseconds, MiB), the latencies in nanoseconds, and the outputs for all inputs."""
    memory = peak_memory_mb(bundle, job)
    version = runtime().__version__
    import numpy as np

    gc.collect()
    gc.disable()
    start = perf_counter_ns()
    session = open_session(bundle / "model.onnx", job["threads"])
    load = perf_counter_ns() - start
    with model_errors():
        feed = first_input(bundle, session, job["scale"])
        first = timed(session, feed, 1)[0]
        warmup_runs, steady = warm_up(session, feed, job["warmup"])
        latencies = timed(session, feed, job["runs"])
    gc.enable()
    outputs = predict(session, np.load(bundle / "inputs.npy", mmap_mode="r", allow_pickle=False), job["scale"])
    report = {
        "first_inference_ms": first / 1e6,
        "load_ms": load / 1e6,
        "machine": machine(),
        "model_sha256": sha256(bundle / "model.onnx"),
        "peak_memory_mb": memory,
        "runtime": f"onnxruntime {version}",
        "steady": int(steady),
        "threads": job["threads"],
        "warmup_runs": warmup_runs,
    }
    return report, latencies, outputs


def run(bundle: Path, results: Path) -> None:
    """Check the bundle, measure, write the results; raises Failure."""
    digest = check_manifest(bundle, BUNDLE_FILES)
    job = json.loads((bundle / "job.json").read_text())
    report, latencies, outputs = measure(bundle, job)
    import numpy as np

    partial = results.with_name(f".{results.name}.partial")
    partial.mkdir(parents=True)
    np.save(partial / "latencies.npy", np.array(latencies, np.int64))
    np.save(partial / "outputs.npy", outputs)
    report |= {"bundle": digest, "run_id": results.name}
    (partial / "results.json").write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    (partial / COMPLETE).write_text(write_manifest(partial, RESULT_FILES) + "\n")
    partial.rename(results)


@contextmanager
def board() -> Iterator[None]:
    """Holds the board; waits, and says so, while another runner holds it."""
    descriptor = os.open(LOCK, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting: another run holds this board", file=sys.stderr, flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def guarded(work: Callable[[], None]) -> int:
    """Run ``work``; its exit status, after one line on stderr where it failed."""
    try:
        work()
        return 0
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr, flush=True)
        return failure.status
    except OSError as error:
        print(f"error: cannot read or write, is the disk full? {error}", file=sys.stderr, flush=True)
        return STORAGE


def main() -> None:
    if len(sys.argv) != 3:
        print("usage: runner.py <bundle folder> <results folder>", file=sys.stderr)
        sys.exit(USAGE)
    with board():
        sys.exit(guarded(lambda: run(Path(sys.argv[1]), Path(sys.argv[2]))))


if __name__ == "__main__":
    main()
