"""Prints how often the runner rejects a run on a board whose state goes bad in mid-run, and one on a steady board.

Whole runs of the runner against a ``vcgencmd`` of our own: from a random call on, the clock reads 600 in place of
1500 MHz, or one of the throttle bits 0 to 3 is up.
"""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.clone import SHORT, row
from device.failure import STATE
from edge.devices import evaluation
from tests.device import models

TRIALS = 1 if SHORT else 20
CALLS = range(5, 12)  # mid-run: the first looks are at a good board, and a run looks more often than this
FAULTS = ("frequency(48)=600000000", *(f"throttled={1 << bit:#x}" for bit in range(4)))
SCRIPT = """#!/bin/sh
echo >> {folder}/calls
late=$(( $(wc -l < {folder}/calls) > {call} ))
case "$1-$late-{fault}" in
    measure_clock-1-frequency*|get_throttled-1-throttled*) echo '{fault}' ;;
    measure_clock-*) echo 'frequency(48)=1500000000' ;;
    get_throttled-*) echo 'throttled=0x0' ;;
esac
"""


def rejected(folder: Path, bundle: Path, fault: str, call: int) -> bool:
    """Whether the runner rejects a run in which ``fault`` shows after so many calls; another failure ends all."""
    folder.mkdir()
    (folder / "vcgencmd").write_text(SCRIPT.format(folder=folder, fault=fault, call=call))
    (folder / "vcgencmd").chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(bundle)}
    environment["PYTHONPYCACHEPREFIX"] = f"{bundle}-bytecode"
    words = [sys.executable, "-P", "-m", "device.measure.runner", bundle, folder / "results"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, STATE):
        sys.exit(done.stderr)
    return done.returncode == STATE


def main() -> None:
    draw = random.Random(1)  # noqa: S311  not a secret
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        board = models.local(folder, limits={"others": None, "attempts": 1, "cooldown_s": 0.0})
        evaluation.make_bundle(folder / "bundle", board, models.work(models.linear(folder / "m.onnx"), runs=30))
        faults = [(draw.choice(FAULTS), draw.choice(CALLS)) for _ in range(TRIALS)]
        bad = [rejected(folder / f"bad{n}", folder / "bundle", *fault) for n, fault in enumerate(faults)]
        good = [rejected(folder / f"good{n}", folder / "bundle", "steady", 0) for n in range(TRIALS)]
    row("runs rejected where the board's state goes bad in mid-run", f"{TRIALS} of {TRIALS}", f"{sum(bad)} of {TRIALS}")
    row("runs rejected on a steady board", f"0 of {TRIALS}", f"{sum(good)} of {TRIALS}")


if __name__ == "__main__":
    main()
