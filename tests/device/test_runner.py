"""The runner alone, as it runs on a board: a process with two folders."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from device import runner
from edge import device
from tests.device import models

JOB = {"runs": 30, "scale": 1 / 32768, "threads": 1, "warmup": 5}


@pytest.fixture
def bundle(tmp_path) -> Path:
    """A bundle of a small model and 70 inputs."""
    device.make_bundle(tmp_path / "bundle", models.linear(tmp_path / "m.onnx"), models.clips(), JOB)
    return tmp_path / "bundle"


def run(bundle: Path, results: Path, python: str = sys.executable, **variables: str) -> subprocess.CompletedProcess:
    """Run the bundle's runner."""
    words = [python, bundle / "runner.py", bundle, results]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=os.environ | variables)


def repack(bundle: Path) -> None:
    """Make the manifest fit what is in the bundle."""
    runner.write_manifest(bundle, runner.BUNDLE_FILES)


def test_results_are_whole_and_correct(bundle, tmp_path):
    """Outputs equal those of onnxruntime here, one latency per run, memory and times are positive, hashes fit."""
    done = run(bundle, tmp_path / "results/r1")
    assert (done.returncode, done.stderr) == (0, "")
    results = tmp_path / "results/r1"
    assert (results / "complete").read_text().strip() == runner.check_manifest(results, runner.RESULT_FILES)
    report = json.loads((results / "results.json").read_text())
    assert report["run_id"] == "r1"
    assert report["bundle"] == runner.sha256(bundle / "manifest.sha256")
    assert report["model_sha256"] == runner.sha256(tmp_path / "m.onnx")
    assert min(report[key] for key in ("load_ms", "first_inference_ms", "peak_memory_mb")) > 0
    assert report["warmup_runs"] % JOB["warmup"] == 0
    latencies = np.load(results / "latencies.npy")
    assert latencies.shape == (30,) and latencies.dtype == np.int64 and (latencies > 0).all()
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    x = models.clips().astype(np.float32) * np.float32(JOB["scale"])
    expected = np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])
    np.testing.assert_array_equal(np.load(results / "outputs.npy"), expected)


def test_memory_is_not_that_of_the_parent(bundle, tmp_path):
    """The figure comes from a small process of its own: a large parent does not raise it."""
    code = (
        "import os, sys, numpy; x = numpy.ones(50_000_000); sys.exit(os.spawnv(os.P_WAIT, sys.argv[1], sys.argv[1:]))"
    )
    words = [sys.executable, "-c", code, sys.executable, bundle / "runner.py", bundle, tmp_path / "results/r1"]
    subprocess.run(words, check=True, timeout=60)
    assert json.loads((tmp_path / "results/r1/results.json").read_text())["peak_memory_mb"] < 300


@pytest.mark.parametrize("name", runner.BUNDLE_FILES)
def test_changed_file_is_refused(bundle, tmp_path, name):
    """One changed byte in any file of the bundle stops the run before the model is touched."""
    with open(bundle / name, "ab") as file:
        file.write(b"\n")
    done = run(bundle, tmp_path / "results/r1")
    assert done.returncode == runner.BUNDLE and name in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", ("model.onnx", "manifest.sha256"))
def test_missing_file_is_refused(bundle, tmp_path, name):
    """A bundle that lacks a file ends in the same status."""
    (bundle / name).unlink()
    assert run(bundle, tmp_path / "results/r1").returncode == runner.BUNDLE


def test_missing_runtime(bundle, tmp_path):
    """A Python whose onnxruntime cannot be imported ends in a line and a status of its own."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/onnxruntime.py").write_text("raise ImportError('libfoo.so: cannot open')")
    done = run(bundle, tmp_path / "results/r1", PYTHONPATH=str(tmp_path / "broken"))
    assert done.returncode == runner.RUNTIME and "libfoo.so" in done.stderr and done.stderr.count("\n") == 1


def test_broken_model(bundle, tmp_path):
    """A file that is no ONNX model ends in a line and a status of its own."""
    (bundle / "model.onnx").write_bytes(b"no model")
    repack(bundle)
    done = run(bundle, tmp_path / "results/r1")
    assert done.returncode == runner.MODEL and done.stderr.count("\n") == 1


def test_inputs_of_another_shape(bundle, tmp_path):
    """Inputs that the model does not take end in the status of the model."""
    np.save(bundle / "inputs.npy", models.clips(size=7))
    repack(bundle)
    assert run(bundle, tmp_path / "results/r1").returncode == runner.MODEL


def test_unwritable_results(bundle, tmp_path):
    """A results folder that cannot be made ends in a line and a status of its own."""
    done = run(bundle, tmp_path / "m.onnx/r1")
    assert done.returncode == runner.STORAGE and done.stderr.count("\n") == 1


def test_killed_in_the_memory_run(bundle, tmp_path):
    """A runtime that dies of SIGILL when imported gives the status that a shell gives for SIGILL."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/onnxruntime.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    assert run(bundle, tmp_path / "results/r1", PYTHONPATH=str(tmp_path / "broken")).returncode == 132


def test_second_run_waits(bundle, tmp_path):
    """While the board is held a runner says that it waits, and measures once the board is free."""
    board = os.open(runner.LOCK, os.O_RDONLY)
    fcntl.flock(board, fcntl.LOCK_EX)
    words = [sys.executable, bundle / "runner.py", bundle, tmp_path / "results/r1"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert "waiting" in process.stderr.readline()
        assert not (tmp_path / "results").exists()
        os.close(board)
        assert process.wait(60) == 0
    assert (tmp_path / "results/r1/complete").exists()


def test_needs_nothing_of_the_project(bundle, tmp_path):
    """The bundle runs from any folder with nothing of the repository importable."""
    shutil.move(bundle, tmp_path / "elsewhere")
    words = [sys.executable, "-I", "elsewhere/runner.py", "elsewhere", "r1"]
    subprocess.run(words, cwd=tmp_path, check=True, timeout=60)
