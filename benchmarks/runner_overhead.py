"""Prints the p50 of an inference through the runner as a ratio to that of a bare loop over ``session.run``.

``python -m benchmarks.runner_overhead [model.onnx]``; without a model, a tiny one that makes overhead visible. Runner
and bare loop are processes of their own that take turns (A B B A), so that drift hits both alike.
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import onnxruntime

from device import runner
from edge import device
from tests.device import models

ROUNDS, RUNS, WARMUP = 5, 2000, 500


def through_runner(bundle: Path, results: Path) -> float:
    """Median nanoseconds that the runner reports."""
    subprocess.run([sys.executable, bundle / "runner.py", bundle, results], check=True)
    return float(np.median(np.load(results / "latencies.npy")))


def through_bare_loop(bundle: Path) -> float:
    """Median nanoseconds of the same inference in a process that does nothing else."""
    words = [sys.executable, "-m", "benchmarks.runner_overhead", "--bare", bundle]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def bare_loop(bundle: Path) -> float:
    """Median nanoseconds of an inference, measured as plainly as can be."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(bundle / "model.onnx"), options)
    feed = {session.get_inputs()[0].name: np.load(bundle / "inputs.npy").astype(np.float32)}
    nanoseconds = []
    for _ in range(WARMUP * 2 + RUNS):
        start = perf_counter_ns()
        session.run(None, feed)
        nanoseconds.append(perf_counter_ns() - start)
    return statistics.median(nanoseconds[-RUNS:])


def main() -> None:
    if sys.argv[1:2] == ["--bare"]:
        print(bare_loop(Path(sys.argv[2])))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = Path(sys.argv[1]) if len(sys.argv) > 1 else models.linear(folder / "tiny.onnx")
        declared = runner.open_session(model, 1).get_inputs()[0].shape
        stored = np.ones([size if isinstance(size, int) else 1 for size in declared], np.int16)
        bundle, ours, bare = folder / "bundle", [], []
        device.make_bundle(bundle, model, stored, {"runs": RUNS, "scale": 1.0, "threads": 1, "warmup": WARMUP})
        for count in range(ROUNDS):
            ours.append(through_runner(bundle, folder / f"results/{count}a"))
            bare += [through_bare_loop(bundle), through_bare_loop(bundle)]
            ours.append(through_runner(bundle, folder / f"results/{count}b"))
    ratio = statistics.median(ours) / statistics.median(bare)
    print(f"p50 runner / bare loop: {ratio:.3f} ({statistics.median(ours):.0f} ns / {statistics.median(bare):.0f} ns)")


if __name__ == "__main__":
    main()
