"""A whole run on the emulated Pi 4: what it finds that this machine hides, and that it never gives a latency."""

import json
from pathlib import Path

import numpy as np
import pytest

from device.tensors import model_input
from edge.core import settings
from edge.core.errors import UserError
from edge.devices import emulation, entries, evaluation, parity
from edge.records import measurement
from edge.records.measurement import Parity
from stages import evaluate_on_device as stage
from tests.device import models
from tests.edge.devices import board_packages, overflow


def board(folder: Path, lock: Path = board_packages.CURRENT) -> entries.Device:
    """The emulated board with the packages of a lock file."""
    board_packages.built(emulation.sysroot)
    board_packages.site(lock)
    entry = models.entry(folder, transport="emulated", wheels=str(lock))
    del entry["python"]
    return entries.Emulated.model_validate(entry)


def overflowing(folder: Path) -> evaluation.Work:
    """The int8 model and the input that overflow where products are added in 16 bits."""
    return models.work(overflow.model(folder / "edge.onnx"), stored=overflow.inputs().astype(np.int16), scale=1.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[measurement.Measurement, dict]:
    """Metrics and series of a run with a large model, and a small one in the place of the baseline."""
    folder = tmp_path_factory.mktemp("run")
    large, small = models.stack(folder / "large.onnx"), models.linear(folder / "small.onnx")
    split = models.split(models.clips(), np.zeros(70, int))
    config = settings.EvaluateOnDevice(warmup=2, runs=5, repeats=3, soak_minutes=0, examples=70)
    return stage.evaluate("pi4", board(folder), (large, small), split, config, models.TASK)


def test_a_run_gives_scores_parity_and_instructions_but_no_latency(run):
    """The metrics have instructions, with the larger model needing more, and no key that speaks of time or memory."""
    found, series = run
    assert found.instructions.candidate > 10 * found.instructions.baseline > 0
    assert found.parity.scores < 1e-5 and found.parity.agreement == 1
    assert found.board.machine.startswith("Raspberry Pi 4 Model B (emulated)")
    text = json.dumps(measurement.content(found))
    assert not any(word in text for word in ("latency", "_ms", 'memory_mb": {', "steady", "verdict"))
    assert series == {}


def test_instructions_repeat(run, tmp_path):
    """A second run of one model counts what the first did, within 0.5 %; a loop repeats to 0.1 % in test_emulation."""
    work = models.work(models.stack(tmp_path / "edge.onnx"))
    again = evaluation.evaluate(board(tmp_path), work).report.instructions.candidate
    assert again == pytest.approx(run[0].instructions.candidate, rel=0.005)


def test_a_wheel_with_instructions_that_a_pi_4_lacks_is_refused(tmp_path):
    """onnxruntime 1.21.0 dies on import; the preflight says of what, and where."""
    with pytest.raises(UserError, match=r"killed by SIGILL while importing onnxruntime 1\.21\.0"):
        evaluation.evaluate(board(tmp_path, board_packages.lock(tmp_path, "1.21.0")), overflowing(tmp_path))


def chain(board: entries.Device, work: evaluation.Work) -> Parity:
    """Run and compare with this machine."""
    results = evaluation.evaluate(board, work)
    samples = model_input(work.stored, work.scale)
    return parity.compare(models.TASK.head, work.candidate, "onnxruntime", samples, results.outputs, results.steps)


def test_an_int8_overflow_is_caught_by_the_parity_chain(tmp_path):
    """onnxruntime 1.29 gives the wrong sign on a Cortex-A72; the chain names the step."""
    with pytest.raises(UserError, match="the first step that differs is 'scores'"):
        chain(board(tmp_path, board_packages.lock(tmp_path, "1.29.0")), overflowing(tmp_path))


def test_the_current_version_passes(tmp_path):
    """The version that the project sends computes the overflowing model as this machine does."""
    found = chain(board(tmp_path), overflowing(tmp_path))
    assert found.scores == 0 and found.agreement == 1
