"""Prints what the runner adds to an inference: time on this machine, and instructions on the emulated Pi 4.

Time: the runner's loop and a bare loop take turns over one session with bound inputs, so that drift hits both alike.
Instructions: those of an inference in the runner's loop against a bare call. The model is the default one, not trained.
"""

import statistics
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter_ns

import numpy as np

import device
from benchmarks.clone import SHORT, row, untrained
from device.measure import work
from device.runtimes import OnnxRuntime
from edge.core.errors import UserError
from edge.devices import emulation, wheels
from tests.device import models
from tests.edge.devices import board_packages

ROUNDS, BLOCK = 4 if SHORT else 400, work.BLOCK
COUNT = """
import sys, numpy
from functools import partial
from pathlib import Path
from device.measure import work
from device.measure.instructions import per_call
from device.runtimes import OnnxRuntime
session = OnnxRuntime(Path(sys.argv[1]), 1)
row = numpy.ones([size if isinstance(size, int) else 1 for size in session.session.get_inputs()[0].shape], "float32")
binding = session.session.io_binding()
binding.bind_cpu_input(session.input, row)
binding.bind_output(session.output)
print(per_call(lambda: work.timed(session.bind(row), 5)) - per_call(lambda: session.bind(row)))
print(5 * per_call(partial(session.session.run_with_iobinding, binding)))
"""


def bare(infer, runs: int) -> list[int]:
    """Nanoseconds of each inference, measured as plainly as can be."""
    times = []
    for _ in range(runs):
        start = perf_counter_ns()
        infer()
        times.append(perf_counter_ns() - start)
    return times


def time(model: Path) -> None:
    """Print the ratio of the medians."""
    session = OnnxRuntime(model, 1)
    shape = [size if isinstance(size, int) else 1 for size in session.session.get_inputs()[0].shape]
    x = np.ones(shape, np.float32)
    binding = session.session.io_binding()
    binding.bind_cpu_input(session.input, x)
    binding.bind_output(session.output)
    bound, plain = session.bind(x), partial(session.session.run_with_iobinding, binding)
    work.warm_up(bound, 50)
    ours, theirs = [], []
    for count in range(ROUNDS):
        for mine in (True, False, False, True) if count % 2 else (False, True, True, False):
            if mine:
                ours += [duration for _, duration in work.timed(bound, BLOCK)]
            else:
                theirs += bare(plain, BLOCK)
    a, b = statistics.median(ours), statistics.median(theirs)
    row("p50 in the runner's loop / a bare loop", "at most 1.05", f"{a / b:.3f} ({a / 1e3:.1f} µs / {b / 1e3:.1f} µs)")


def instructions(model: Path) -> None:
    """Print the ratio of the counts, or why there is no emulated board here."""
    what, asked = "instructions in the runner's loop / bare calls, emulated Pi 4", "at most 1.03"
    try:
        site, sysroot = wheels.site(board_packages.CURRENT, *board_packages.BOARD), emulation.sysroot()
    except UserError as error:
        row(what, asked, f"skipped: {error}")
        return
    words = [*emulation.command(sysroot, f"{Path(device.__file__).parent.parent}:{site}"), "-c", COUNT, str(model)]
    ours, theirs = map(float, subprocess.run(words, check=True, capture_output=True, text=True).stdout.split())
    row(what, asked, f"{ours / theirs:.4f} ({ours / BLOCK:,.0f} / {theirs / BLOCK:,.0f})")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        model = models.linear(path) if SHORT else untrained(path)
        time(model)
        instructions(model)


if __name__ == "__main__":
    main()
