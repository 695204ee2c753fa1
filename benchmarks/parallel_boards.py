"""Prints the wall time of an evaluation on eight boards at the same time as a ratio to that on one board alone.

The boards are namespaces of this machine behind ssh (root, iproute2), so they share its processors; a slow board is one
whose Python waits a minute before it measures. What counts is whether this side makes them wait for each other.
"""

import contextlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from benchmarks.clone import SHORT, row
from edge.core import paths, settings
from stages import evaluate_on_device as stage
from tests.device import models
from tests.edge.devices import network

BOARDS, WAIT = (2, 1) if SHORT else (8, 60)


def slow_python(folder: Path) -> str:
    """A Python that waits before it measures; the first contact is as quick as ever."""
    path = folder / "python"
    wait = f'case "$3" in device.measure.runner) sleep {WAIT};; esac'
    path.write_text(f'#!/bin/sh\n{wait}\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return str(path)


def seconds(names: list[str]) -> float:
    """Wall time of an evaluation on the boards ``names``; a failure ends the benchmark."""
    split = models.split(models.clips(), np.zeros(70, int))
    config = settings.EvaluateOnDevice(warmup=2, runs=30, repeats=3, soak_minutes=0, examples=70)
    start = time.perf_counter()
    if failures := stage.evaluate_all(names, split, config, models.TASK):
        sys.exit("; ".join(map(str, failures)))
    return time.perf_counter() - start


def main() -> None:
    what, asked = f"evaluation, {BOARDS} boards at the same time / one", "at most 1.5"
    if reason := network.missing():
        row(what, asked, f"skipped: {reason}")
        return
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-bench-")))
        boards = {str(n): stack.enter_context(network.board(folder / f"board{n}")) for n in range(BOARDS + 1)}
        stack.enter_context(contextlib.chdir(folder))
        entries = {
            name: models.entry(
                board.folder, transport="ssh", host="board", ssh_config=board.config, python=slow_python(board.folder)
            )
            for name, board in boards.items()
        }
        paths.DEVICES.write_text(yaml.safe_dump(entries))
        paths.EDGE.parent.mkdir()
        models.linear(paths.EDGE)
        models.linear(paths.ONNX)
        first, *others = boards
        alone, together = seconds([first]), seconds(others)
    row(what, asked, f"{together / alone:.2f} ({together:.0f} s / {alone:.0f} s)")


if __name__ == "__main__":
    main()
