"""The last stage on a toy model and task, locally and over ssh."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge import device, files, paths, settings
from edge.errors import UserError
from edge.shards import Split
from stages import evaluate_on_device as stage
from tests.device import models
from tests.edge import sshd

SCALE = 1 / 32768
TASK = SimpleNamespace(score=lambda labels, outputs: {"accuracy": float((outputs.argmax(1) == labels).mean())})


@pytest.fixture
def model(tmp_path) -> Path:
    """A small model."""
    return models.linear(tmp_path / "edge.onnx")


@pytest.fixture
def split(model) -> Split:
    """70 inputs; the label is what the model says, but for the first 7, so that it is right for 90 %."""
    split = Split(models.clips(), np.zeros(70, int), SCALE)
    labels = stage.on_host(model, split.x, SCALE).argmax(1)
    labels[:7] = (labels[:7] + 1) % 3
    return Split(split.x, labels, SCALE)


def config(runs: int = 70, clips: int = 1000) -> settings.EvaluateOnDevice:
    """The stage's section."""
    return settings.EvaluateOnDevice(warmup=2, runs=runs, accuracy_clips=clips)


def board(folder: Path, **changes) -> device.Device:
    """This machine, or with ``host`` the ssh server, as a board."""
    entry = {"transport": "ssh" if "host" in changes else "local", "python": sys.executable, "threads": 1}
    entry |= {"root": str(folder / "board"), "timeout": 60}
    return device.TRANSPORTS[entry["transport"]].model_validate(entry | changes)


def test_metrics_locally_and_over_ssh(tmp_path, model, split):
    """Both transports give the true accuracy and full agreement with the host; the metrics say what was measured."""
    here, latencies = stage.evaluate(board(tmp_path), model, split, config(), TASK)
    with sshd.server(tmp_path / "sshd") as (client, _):
        there, _ = stage.evaluate(board(tmp_path, host="board", ssh_config=client), model, split, config(), TASK)
    same = ("accuracy", "host_agreement", "host_max_difference", "model_sha256", "model_bytes", "machine", "samples")
    assert {key: here[key] for key in same} == {key: there[key] for key in same}
    assert here["accuracy"] == 0.9
    assert (here["host_agreement"], here["host_max_difference"]) == (1, 0)
    assert here["model_sha256"] == files.sha256(model)
    assert (here["samples"], here["threads"], here["accuracy_clips"]) == (70, 1, 70)
    assert here["latency_ms"]["p50"] == pytest.approx(np.median(latencies))
    strings = {key for key, value in here.items() if isinstance(value, str)}
    assert strings == {"machine", "model_sha256", "runtime"}


@pytest.mark.parametrize(
    ("runs", "keys"),
    [
        (63, {"mean", "p50"}),
        (64, {"mean", "p50", "p90"}),
        (661, {"mean", "p50", "p90"}),
        (662, {"mean", "p50", "p90", "p99"}),
    ],
)
def test_percentiles_need_samples(runs, keys):
    """A percentile that so few runs do not support is absent."""
    assert set(stage.summary(np.arange(1.0, runs + 1))) == keys


def test_clips_are_spread(model, split, tmp_path):
    """Fewer clips than the split has are spread over all of it, ends included, the same at each call."""
    assert stage.spread(70, 4).tolist() == [0, 23, 46, 69]
    assert stage.spread(3, 10).tolist() == [0, 1, 2]
    metrics, _ = stage.evaluate(board(tmp_path), model, split, config(runs=2, clips=7), TASK)
    assert (metrics["accuracy_clips"], metrics["samples"]) == (7, 2)
    assert metrics["accuracy"] == pytest.approx(6 / 7)


def test_outputs_that_are_no_numbers(split):
    """Outputs with a NaN, or of another shape than the host's, are refused."""
    for outputs in (np.full((2, 3), np.nan), np.zeros((2, 4))):
        with pytest.raises(UserError, match="not finite numbers of shape"):
            stage.compare(outputs, np.zeros((2, 3)))


def test_agreement_counts_rows():
    """Agreement is the share of rows with the same largest output, the difference is the largest one."""
    found = stage.compare(np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[1.0, 2.5], [1.0, 2.0]]))
    assert found == {"host_agreement": 0.5, "host_max_difference": 1.0}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"python": "no-python"}, "cannot be started"),
        ({"root": "/proc/edge"}, "/proc/edge"),
        ({"host": "board", "ssh_config": "/dev/null"}, "cannot be reached"),
    ],
)
def test_failure_leaves_earlier_metrics(tmp_path, model, split, monkeypatch, changes, says):
    """After a failure the earlier metrics and plot are as they were, byte for byte."""
    monkeypatch.chdir(tmp_path)
    stage.write(*stage.evaluate(board(tmp_path), model, split, config(runs=3), TASK))
    before = {path: path.read_bytes() for path in (paths.METRICS / "device.json", paths.LATENCY)}
    with pytest.raises(UserError, match=says):
        stage.write(*stage.evaluate(board(tmp_path, **changes), model, split, config(runs=3), TASK))
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in paths.METRICS.iterdir()) == ["device.json"]


def test_files(tmp_path, model, split, monkeypatch):
    """The plot has a row per run in order; the metrics are guarded by the model that they measured."""
    monkeypatch.chdir(tmp_path)
    metrics, latencies = stage.evaluate(board(tmp_path), model, split, config(runs=3), TASK)
    stage.write(metrics, latencies)
    rows = list(csv.DictReader(paths.LATENCY.open()))
    assert [row["run"] for row in rows] == ["0", "1", "2"]
    assert [float(row["ms"]) for row in rows] == pytest.approx(latencies, abs=1e-6)
    assert device.measured(paths.METRICS / "device.json", model) == json.loads(json.dumps(metrics))


def test_imports_are_light():
    """The stage imports neither tensorflow nor dvc."""
    code = "import sys, stages.evaluate_on_device; sys.exit(bool({'tensorflow', 'dvc', 'keras'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=60)
