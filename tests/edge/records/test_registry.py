"""Runs, models, promotion and rollback against a real MLflow server."""

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import mlflow.onnx
import numpy as np
import onnx
import onnxruntime
import pytest

import tasks
from benchmarks.clone import change
from commands import registry as command
from edge.core import files, paths, settings
from edge.core.errors import UserError
from edge.models.formats import metadata, onnx_file
from edge.records import measurement, mlflow_store, registry
from tests import mlflow_server
from tests.conftest import Project
from tests.device import models
from tests.edge.records import measurements
from tests.imports import ROOT

CODE = "1" * 40


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An MLflow server for the whole file: its address."""
    with mlflow_server.server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


class Workspace:
    """A folder after a run of the task ``task``: model, reference, data, metrics, in a git repository."""

    def __init__(self, task: str):
        self.task = task
        git("init", "--quiet")
        git("config", "user.name", "Anna")
        git("config", "user.email", "anna@example.org")
        git("commit", "--quiet", "--allow-empty", "-m", "A run")
        self.head = git("rev-parse", "HEAD")
        for folder in (paths.PREPARED, paths.EDGE.parent, paths.DEVICE_METRICS):
            folder.mkdir(parents=True)
        (paths.PREPARED / "manifest.csv").write_text("clip,sha256\n")
        files.write_json(paths.METRICS / "train.json", {"test": {"accuracy": 0.75, "note": "text"}})

    def model(self, seed: int) -> str:
        """Make the model of a seed, its reference pair and its device metrics; returns its sha256."""
        models.linear(paths.EDGE, seed=seed)
        model = onnx.load(paths.EDGE)
        metadata.write(model, {"git_commit": CODE})
        onnx.save(model, paths.EDGE)
        inputs = np.random.default_rng(0).normal(size=(1, 6)).astype(np.float32)
        np.savez(paths.REFERENCE, x=inputs, scores=onnx_file.session(paths.EDGE).run(None, {"x": inputs})[0])
        digest = files.sha256(paths.EDGE)
        measurement.write(measurements.made("local", "local", model_sha256=digest), {})
        return digest

    def record(self, seed: int) -> str:
        """Record a run whose model is that of a seed; returns its sha256."""
        digest = self.model(seed)
        params = tasks.Params(task=self.task, quant="int8", device=["local"], seed=seed)
        mlflow_store.record(params, settings.Convert(opset=18, tolerance=0.5))
        return digest

    def registered(self):
        """The registered model, as a client sees it that connects now."""
        return mlflow_store.connect().MlflowClient().get_registered_model(self.task)

    def aliases(self) -> dict[str, str]:
        """Version by alias."""
        return dict(self.registered().aliases)


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def workspace(server, tmp_path, monkeypatch, request) -> Workspace:
    """A workspace that records to the server, under the test's own name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    for name in ("GITLAB_USER_LOGIN", "GITHUB_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_EXP_NAME", "rusty-bell")
    return Workspace(request.node.name.replace("[", " ").replace("]", ""))


def passes() -> None:
    """A gate that lets every model through."""


def test_a_run_and_its_model_lead_back(workspace, capfd):
    """The server holds parameters, metrics, and tags of commit, experiment, data and model, on run and version."""
    digest = workspace.record(seed=1)
    assert "warning" not in capfd.readouterr().err
    client = mlflow.MlflowClient()
    [version] = client.search_model_versions(f"name = '{workspace.task}'")
    run = client.get_run(version.run_id)
    expected = {
        "git_commit": workspace.head,
        "code_commit": CODE,
        "dvc_experiment": "rusty-bell",
        "data_sha256": files.sha256(paths.PREPARED / "manifest.csv"),
        "model_sha256": digest,
    }
    assert version.tags == expected
    assert expected.items() <= run.data.tags.items()
    assert run.info.status == "FINISHED"
    assert run.data.params.items() >= {"seed": "1", "quant": "int8", "device": "['local']", "opset": "18"}.items()
    expected = {"train.test.accuracy": 0.75, "devices.local.latency.threads_1.candidate_ms.p50": 4.0}
    expected["devices.local.scores.accuracy"] = 0.9
    assert expected.items() <= run.data.metrics.items()
    assert workspace.aliases() == {"candidate": version.version}


def test_the_stored_model_is_the_file_with_signature_and_example(workspace, tmp_path):
    """The version has the file's bytes, names inputs and outputs, holds the reference input, and pickles nothing."""
    digest = workspace.record(seed=1)
    uri = f"models:/{workspace.task}@candidate"
    stored = Path(mlflow.artifacts.download_artifacts(uri, dst_path=tmp_path / "stored"))
    assert files.sha256(stored / "model.onnx") == digest
    info = mlflow.models.get_model_info(uri)
    [given], [scores] = info.signature.inputs, info.signature.outputs
    assert (given.name, given.shape, scores.name, scores.shape) == ("x", (-1, 6), "scores", (-1, 3))
    example = mlflow.models.Model.load(stored).load_input_example(stored)
    assert np.array_equal(example["x"], np.zeros_like(np.load(paths.REFERENCE)["x"])), (
        "no recording leaves with a model"
    )
    assert {path.suffix for path in stored.rglob("*")} == {"", ".json", ".onnx", ".txt", ".yaml"}
    assert {path.name for path in stored.rglob("*") if not path.suffix} == {"MLmodel", "registered_model_meta"}


def test_the_champion_scores_as_the_file(workspace):
    """`mlflow.onnx.load_model` of the champion gives bit-equal scores on the reference input."""
    workspace.record(seed=1)
    registry.promote(workspace.task, "first", passes)
    workspace.record(seed=2)
    registry.promote(workspace.task, "better", passes)
    champion = mlflow.onnx.load_model(f"models:/{workspace.task}@champion")
    reference = np.load(paths.REFERENCE)
    run = onnxruntime.InferenceSession(champion.SerializeToString(), providers=["CPUExecutionProvider"])
    assert np.array_equal(run.run(None, {"x": reference["x"]})[0], reference["scores"])


def test_a_gate_that_fails_moves_nothing(workspace):
    """What the gate refuses leaves aliases and audit as they were."""
    workspace.record(seed=1)

    def gate():
        raise UserError("too slow")

    with pytest.raises(UserError, match="too slow"):
        registry.promote(workspace.task, "hope", gate)
    assert workspace.aliases() == {"candidate": "1"}
    assert registry.audit(workspace.registered()) == []


@pytest.mark.parametrize("when", ["before", "during", "retagged"])
def test_a_candidate_that_the_gate_did_not_check_is_refused(workspace, when):
    """Another model in the workspace before or during the gate, or a version with a hash not its own, is refused."""
    workspace.record(seed=1)
    if when != "during":
        other = workspace.model(seed=2)
    if when == "retagged":
        mlflow.MlflowClient().set_model_version_tag(workspace.task, "1", "model_sha256", other)
    with pytest.raises(UserError, match="version 1 is not models/edge.onnx"):
        registry.promote(workspace.task, "", lambda: workspace.model(seed=2))
    assert workspace.aliases() == {"candidate": "1"}
    assert registry.audit(workspace.registered()) == []


def test_rollback_returns_to_the_champion_before(workspace, monkeypatch, capsys):
    """Two rollbacks undo two promotions, a third has nowhere to go, and the audit holds a line of each move."""
    for seed in (1, 2, 3):
        workspace.record(seed)
        registry.promote(workspace.task, f"seed {seed}", passes)
    with pytest.raises(UserError, match="version 3 is the champion already"):
        registry.promote(workspace.task, "again", passes)
    assert workspace.aliases()["champion"] == "3"
    registry.rollback(workspace.task, "deaf\nto children")
    assert workspace.aliases() == {"champion": "2", "candidate": "3"}
    registry.rollback(workspace.task, "deaf")
    assert workspace.aliases()["champion"] == "1"
    with pytest.raises(UserError, match="version 1, replaced no other"):
        registry.rollback(workspace.task, "deaf")
    lines = registry.audit(workspace.registered())
    assert [(line["from"], line["to"]) for line in lines] == [
        (None, "1"), ("1", "2"), ("2", "3"), ("3", "2"), ("2", "1")
    ]  # fmt: skip
    assert {line["who"] for line in lines} == {"Anna"}
    assert {line["commit"] for line in lines} == {workspace.head}
    assert {line["state"] for line in lines} == {"done"}
    monkeypatch.setattr(sys, "argv", ["registry", "show", "--task", workspace.task])
    capsys.readouterr()
    command.main()
    shown = capsys.readouterr().out.splitlines()
    assert shown[1:3] == ["champion: version 1", "candidate: version 3"]
    assert shown[-2] == f"{lines[3]['at']} rollback 3 -> 2 done by Anna at {workspace.head}: deaf to children"
    assert sum(line.strip().startswith("model_sha256") for line in shown) == 3


def test_moves_at_the_same_time_lose_no_line(workspace):
    """Eight moves at once leave a finished line each, and the champion at one of their targets."""
    workspace.record(seed=1)
    registry.promote(workspace.task, "first", passes)
    workspace.record(seed=2)
    together = Barrier(8)

    def move(number: int) -> None:
        together.wait()
        registry.move(workspace.task, "promote", "12"[number % 2], f"number {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(move, range(8)))
    lines = registry.audit(workspace.registered())[1:]
    assert sorted(line["reason"] for line in lines) == [f"number {number}" for number in range(8)]
    assert {line["state"] for line in lines} == {"done"}
    assert workspace.aliases()["champion"] in {"1", "2"}


def test_two_promotions_of_one_version_are_one_step_back(workspace):
    """A version promoted twice at once rolls back to the champion before it, and a task without champion to nothing."""
    workspace.record(seed=1)
    with pytest.raises(UserError, match="version none, replaced no other"):
        registry.rollback(workspace.task, "too early")
    registry.promote(workspace.task, "first", passes)
    workspace.record(seed=2)
    registry.promote(workspace.task, "one", passes)
    registry.move(workspace.task, "promote", "2", "the other, which looked before the one had moved")
    registry.rollback(workspace.task, "back")
    assert workspace.aliases()["champion"] == "1"


@pytest.mark.parametrize(("call", "champion"), [("before", None), ("after", "2")])
def test_a_promotion_killed_at_the_alias_leaves_a_line(workspace, call, champion):
    """SIGKILL right before or after the alias is set leaves a line `started`, the alias whole, and a way on."""
    workspace.record(seed=1)
    registry.promote(workspace.task, "first", passes)
    workspace.record(seed=2)
    code = (
        "import os, signal, sys\n"
        "from mlflow import MlflowClient\n"
        "from edge.records import registry\n"
        "move = MlflowClient.set_registered_model_alias\n"
        "def die(*words):\n"
        f"    if {call == 'after'}: move(*words)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "MlflowClient.set_registered_model_alias = die\n"
        "registry.promote(sys.argv[1], 'killed', lambda: None)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, workspace.task], env=environment(), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert registry.audit(workspace.registered())[-1]["state"] == "started"
    assert workspace.aliases()["champion"] == (champion or "1")
    if champion:
        registry.rollback(workspace.task, "half done")
        assert workspace.aliases()["champion"] == "1"
    else:
        registry.promote(workspace.task, "again", passes)
        assert workspace.aliases()["champion"] == "2"


def test_rollback_passes_over_a_version_that_was_deleted(workspace):
    """Where the champion before is gone, the one before that is the way back."""
    for seed in (1, 2, 3):
        workspace.record(seed)
        registry.promote(workspace.task, f"seed {seed}", passes)
    mlflow.MlflowClient().delete_model_version(workspace.task, "2")
    registry.rollback(workspace.task, "deaf")
    assert workspace.aliases()["champion"] == "1"


def test_tags_of_others_do_not_stop_the_audit(workspace):
    """What people set under such keys by hand is no line, and what would act on a terminal is quoted."""
    workspace.record(seed=1)
    for key, value in (("note", "checked by Bob"), ("list", "[]"), ("part", '{"at": 1}')):
        mlflow.MlflowClient().set_registered_model_tag(workspace.task, f"audit.{key}", value)
    registry.promote(workspace.task, "\x1b[2J", passes)
    mlflow.MlflowClient().set_model_version_tag(workspace.task, "1", "by", "\x1b[2J")
    assert len(registry.audit(workspace.registered())) == 1
    assert "\x1b" not in registry.show(workspace.task)


def test_a_model_that_the_server_lost_is_named(workspace, tmp_path, monkeypatch):
    """A version whose file is gone is refused with its name, and nothing moves."""
    workspace.record(seed=1)

    def lost(*words, **more):
        raise OSError("gone")

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", lost)
    with pytest.raises(UserError, match="models:/.*/1 at http.* has no model.onnx any more"):
        registry.promote(workspace.task, "", passes)
    assert workspace.aliases() == {"candidate": "1"}


def test_only_what_is_committed_is_promoted(toy, tmp_path):
    """A budget or a figure that no commit has is refused before the gate; a clean run meets the gate."""
    clone = Project(tmp_path / "clone")
    shutil.copytree(toy.folder, clone.folder, symlinks=True)

    def said() -> str:
        words = (
            sys.executable,
            "-c",
            "from edge.core import errors; from edge.judge import budget; errors.run(budget.check_committed)",
        )
        return clone.run(*words).stderr

    change(clone.folder / "params.yaml", budget={"bytes": 10**9})
    assert said() == "error: not as committed: params.yaml: dvc repro, git commit, then promote\n"
    clone.ok("git", "commit", "--quiet", "--all", "-m", "A budget")
    assert said() == ""
    figures = clone.folder / "metrics/devices/local.json"
    content = figures.read_bytes()
    figures.unlink()
    figures.write_bytes(content + b" ")
    assert said().startswith("error: not as committed: metrics/devices: ")


def environment() -> dict[str, str]:
    """This process's environment, with the project's code."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (measurements.content("pi4"), "measured another model: run dvc repro"),
        ({"model_sha256": "0"}, "is not as this version writes it"),
        ([], "is not as this version writes it"),
    ],
)
def test_stale_device_metrics_are_not_the_servers_fault(workspace, capfd, content, words):
    """Metrics of another model, or unreadable ones, are a warning that names the file, and nothing is recorded."""
    workspace.model(seed=1)
    (paths.DEVICE_METRICS / "pi4.json").write_text(json.dumps(content))
    params = tasks.Params(task=workspace.task, quant="int8", device="local", seed=1)
    mlflow_store.record(params, settings.Convert(opset=18, tolerance=0.5))
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("warning: this run is not recorded in MLflow: metrics/devices/pi4.json ")
    assert words in line
    assert mlflow_store.connect().get_experiment_by_name(workspace.task) is None


def test_a_server_that_does_not_answer_is_a_warning(workspace, capfd, monkeypatch):
    """`record` says which store did not take the run and returns; the command line says it in one line and fails."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    workspace.record(seed=1)
    assert "warning: MLflow at http://127.0.0.1:9 did not take this run" in capfd.readouterr().err
    words = [sys.executable, "-m", "commands.registry", "show", "--task", workspace.task]
    result = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "http://127.0.0.1:9" in result.stderr


@pytest.mark.parametrize("address", ["http://anna:SECRET@127.0.0.1:9", "postgresql://anna:SECRET@127.0.0.1:9/edge"])
def test_no_password_is_printed(workspace, capfd, monkeypatch, address):
    """A password in the address of the server is neither in the warning nor in the error; each is one line."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    workspace.task = "any"  # the test's own name holds the address
    workspace.record(seed=1)
    words = [sys.executable, "-m", "commands.registry", "show", "--task", workspace.task]
    result = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "127.0.0.1:9" in result.stderr
    assert "SECRET" not in result.stderr + capfd.readouterr().err


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("./mlruns", "./mlruns"),
        ("http://mlflow.example:5000", "http://mlflow.example:5000"),
        ("http://[::1]:5000/path", "http://[::1]:5000"),
        ("https://anna:SECRET@mlflow.example/path", "https://mlflow.example"),
        ("https://SECRET@mlflow.example", "https://mlflow.example"),
        ("https://anna:SE@CRET@mlflow.example", "https://mlflow.example"),
        ("https://anna:SE%2FCRET@mlflow.example", "https://mlflow.example"),
        ("https://mlflow.example?password=SECRET", "https://mlflow.example"),
        ("postgresql:///edge?host=db&password=SECRET", "postgresql:///edge"),
        ("postgresql://anna:SE/CRET@db:5432/edge", "cannot be read"),
        ("postgresql://anna:SE#CRET@db:5432/edge", "cannot be read"),
        ("postgresql://anna:SE?CRET@db:5432/edge", "cannot be read"),
        ("anna:SECRET@db:5432", "cannot be read"),
        ("http://db:SECRET", "cannot be read"),
        ("http://[::1:SECRET@x", "cannot be read"),
        ("http://anna:SECRET@[db", "cannot be read"),
    ],
)
def test_an_address_is_shown_without_secrets(monkeypatch, address, shown):
    """Users, passwords, tokens and queries are never printed, nor what an address that cannot be read makes of them."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert mlflow_store.place().endswith(shown)
    assert "CRET" not in mlflow_store.place()
    assert "CRET" not in mlflow_store.hidden(f"no driver for {address}")


@pytest.mark.parametrize(
    "address", ["http://[::1", "postgresql://anna:SE/CRET@127.0.0.1:9/edge", "nonsense://SECRET@x"]
)
def test_an_address_that_cannot_be_read_is_a_warning(workspace, capfd, monkeypatch, address):
    """The run stands, and the warning is one line that does not print the address."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    workspace.record(seed=1)
    [line] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning")]
    assert "did not take this run" in line and "CRET" not in line
