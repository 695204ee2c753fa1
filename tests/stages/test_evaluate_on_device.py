"""The last stage on a toy model and task, locally, over ssh, and on several boards."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from edge.core import files, paths, settings
from edge.core.errors import UserError
from edge.data.shards import Split
from edge.devices import entries, parity
from edge.models.formats import tflite
from edge.records import measurement
from edge.records.measurement import Parity
from stages import evaluate_on_device as stage
from tests.device import models
from tests.device.models import SCALE
from tests.edge.devices import sshd


@pytest.fixture
def model(tmp_path) -> Path:
    """A small model."""
    return models.linear(tmp_path / "edge.onnx")


@pytest.fixture
def split(model) -> Split:
    """70 inputs; the label is what the model says, but for the first 7, so that it is right for 90 %."""
    x = models.clips()
    labels = parity.host_outputs(model, "onnxruntime", x.astype(np.float32) * np.float32(SCALE)).argmax(1)
    labels[:7] = (labels[:7] + 1) % 3
    return models.split(x, labels)


def config(runs: int = 70, examples: int = 1000) -> settings.EvaluateOnDevice:
    """The stage's section."""
    return settings.EvaluateOnDevice(warmup=2, runs=runs, repeats=3, soak_minutes=0, examples=examples)


def test_metrics_locally_and_over_ssh(tmp_path, model, split):
    """Both transports give the true accuracy and full agreement with the host; the metrics say what was measured."""
    here, series = stage.evaluate("a", models.local(tmp_path), (model, model), split, config(), models.TASK)
    with sshd.server(tmp_path / "sshd") as (client, _):
        there, _ = stage.evaluate("a", models.ssh(tmp_path, client), (model, model), split, config(), models.TASK)
    same = ("scores", "parity", "model_sha256", "baseline_sha256", "model_bytes", "board", "runtime", "examples")
    assert [getattr(here, field) for field in same] == [getattr(there, field) for field in same]
    assert here.scores["accuracy"] == 0.9
    assert (here.parity.scores, here.parity.agreement) == (0, 1)
    assert here.model_sha256 == files.sha256(model)
    figures = here.latency["threads_1"]
    mine = series["ms"][series["model"] == "candidate"].astype(float)
    assert figures.candidate_ms.p50 == pytest.approx(np.median(mine))
    assert figures.low_percent <= figures.change_percent <= figures.high_percent
    assert figures.verdict in ("faster", "slower", "undecided")


def test_a_model_with_ten_times_the_work_is_slower(tmp_path, split, model):
    """The verdict on a candidate that computes far more than its baseline is that it is slower."""
    large = models.stack(tmp_path / "large.onnx")
    found, _ = stage.evaluate("a", models.local(tmp_path), (large, model), split, config(), models.TASK)
    assert found.latency["threads_1"].verdict == "slower"


def test_a_soak_is_ranked_at_start_and_end(tmp_path, split, model):
    """A soak gives a verdict for its first and for its last part, and the board's state over it."""
    short = config(runs=2).model_copy(update={"soak_minutes": 0.005})
    large = models.stack(tmp_path / "large.onnx")
    found, _ = stage.evaluate("a", models.local(tmp_path), (large, model), split, short, models.TASK)
    assert (found.soak.start.verdict, found.soak.end.verdict) == ("slower", "slower")
    assert found.soak.state.others_max is not None


def test_litert_runs_the_float_model(tmp_path):
    """A board with the runtime litert measures a TFLite file, and agrees with this machine at each step."""
    (tmp_path / "m.tflite").write_bytes(tflite.identity())
    split = models.split(np.ones((70, 1), np.int16), np.zeros(70, int), 1.0)
    board = models.local(tmp_path, runtime="litert")
    found, _ = stage.evaluate(
        "a", board, (tmp_path / "m.tflite", tmp_path / "m.tflite"), split, config(runs=2), models.TASK
    )
    assert found.runtime.startswith("ai-edge-litert ")
    assert found.parity == Parity(samples=0, scores=0, agreement=1)


def test_clips_are_spread(model, split, tmp_path):
    """Fewer clips than the split has are spread over all of it, ends included, the same at each call."""
    found, _ = stage.evaluate(
        "a", models.local(tmp_path), (model, model), split, config(runs=2, examples=7), models.TASK
    )
    assert found.examples == 7
    assert found.scores["accuracy"] == pytest.approx(6 / 7)


@pytest.fixture
def project(tmp_path, monkeypatch, model, split) -> Path:
    """A folder with models and a devices.yaml of two boards, ``a`` and ``b``, on this machine."""
    monkeypatch.chdir(tmp_path)
    paths.EDGE.parent.mkdir()
    paths.EDGE.write_bytes(model.read_bytes())
    paths.ONNX.write_bytes(model.read_bytes())
    boards = {name: models.entry(tmp_path / name) for name in "ab"}
    paths.DEVICES.write_text(yaml.safe_dump(boards))
    return tmp_path


def change(board: str, **changes) -> None:
    """Change an entry of devices.yaml."""
    boards = yaml.safe_load(paths.DEVICES.read_text())
    boards[board] |= changes
    paths.DEVICES.write_text(yaml.safe_dump(boards))


def test_files(project, split):
    """The plot has a row per run; the metrics are guarded by the model that they measured."""
    assert stage.evaluate_device("a", split, config(), models.TASK) is None
    rows = list(csv.DictReader((paths.DEVICE_PLOTS / "a.csv").open()))
    assert {row["model"] for row in rows} == {"candidate", "baseline"} and len(rows) == 2 * 90
    assert measurement.read("a").device == "a"


def test_one_failed_board_does_not_lose_the_other(project, split):
    """Of two boards evaluated together the one that fails is named, and the other's metrics are written."""
    change("b", python="no-python")
    failures = stage.evaluate_all(["a", "b"], split, config(), models.TASK)
    (failure,) = failures
    assert str(failure).startswith("b: this machine: python cannot be started there") and failure.status == 127
    assert [path.name for path in paths.DEVICE_METRICS.iterdir()] == ["a.json"]


def test_the_other_boards_of_an_earlier_run_go(project, split):
    """After a run the folder holds the files of the boards of that run and no others."""
    assert stage.evaluate_all(["a", "b"], split, config(), models.TASK) == []
    assert stage.evaluate_all(["b"], split, config(), models.TASK) == []
    assert [path.name for path in paths.DEVICE_METRICS.iterdir()] == ["b.json"]
    assert [path.name for path in paths.DEVICE_PLOTS.iterdir()] == ["b.csv"]


def test_failure_removes_metrics_of_another_model(project, split):
    """Where the model changed and its measurement fails, the earlier model's metrics do not stay beside the others."""
    assert stage.evaluate_device("a", split, config(), models.TASK) is None
    models.linear(paths.EDGE, seed=7)
    change("a", python="no-python")
    assert stage.evaluate_device("a", split, config(), models.TASK) is not None
    assert list(paths.DEVICE_METRICS.iterdir()) == [] and list(paths.DEVICE_PLOTS.iterdir()) == []


def test_a_name_becomes_a_file_in_its_folder_or_nothing(project):
    """A device whose name holds a slash is refused."""
    boards = yaml.safe_load(paths.DEVICES.read_text())
    paths.DEVICES.write_text(yaml.safe_dump(boards | {"../a": boards["a"]}))
    with pytest.raises(UserError, match="'../a': a name has letters"):
        entries.load("../a")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"python": "no-python"}, "cannot be started"),
        ({"root": "/proc/edge"}, "/proc/edge"),
        ({"transport": "ssh", "host": "board", "ssh_config": "/dev/null"}, "no such host"),
    ],
)
def test_failure_leaves_earlier_metrics(project, split, changes, says):
    """After a failure the earlier metrics and plot are as they were, byte for byte."""
    assert stage.evaluate_device("a", split, config(), models.TASK) is None
    before = {path: path.read_bytes() for path in (paths.DEVICE_METRICS / "a.json", paths.DEVICE_PLOTS / "a.csv")}
    change("a", **changes)
    assert says in str(stage.evaluate_device("a", split, config(), models.TASK))
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in paths.DEVICE_METRICS.iterdir()) == ["a.json"]


def test_imports_are_light():
    """The stage imports neither tensorflow nor dvc."""
    code = "import sys, stages.evaluate_on_device; sys.exit(bool({'tensorflow', 'dvc', 'keras'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=60)
