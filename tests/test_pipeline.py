"""The six stages together, as a person runs them, on the toy task."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.clone import change
from edge.core.files import sha256


def metrics(project, name: str) -> dict:
    return json.loads((project.folder / f"metrics/{name}.json").read_text())


def ran(text: str) -> list[str]:
    """The stages that DVC says it ran."""
    return [line.split("'")[1] for line in text.splitlines() if line.startswith("Running stage")]


def test_a_run_yields_every_metric_and_a_model_that_works(toy):
    """All six stages run and the device's figures are those of the model that ships."""
    assert metrics(toy, "train")["test"]["accuracy"] > 0.9
    assert metrics(toy, "convert")["agreement"] == 1.0
    assert metrics(toy, "devices/local")["model_sha256"] == sha256(toy.folder / "models/edge.onnx")


def test_nothing_changed_runs_nothing(toy):
    """A second `dvc repro` runs no stage."""
    assert ran(toy.ok("dvc", "repro")) == []


def test_a_run_is_recorded_in_mlflow(toy):
    """The default tracking store holds the run with its parameters, metrics and model hash."""
    code = (
        "import mlflow; mlflow.set_tracking_uri('sqlite:///mlflow.db');"
        "r = mlflow.search_runs(experiment_names=['toy']).iloc[0];"
        "print(r['tags.model_sha256'], r['params.train.architecture'], r['metrics.train.test.accuracy'])"
    )
    model, architecture, accuracy = toy.ok(sys.executable, "-c", code).splitlines()[-1].split()
    assert model == sha256(toy.folder / "models/edge.onnx")
    assert (architecture, float(accuracy)) == ("dense", metrics(toy, "train")["test"]["accuracy"])


def test_changing_quant_runs_two_stages(toy):
    """`dvc exp run -S quant=int8` runs quantize and evaluate-on-device only; a dead tracking server is a warning."""
    text = toy.ok("dvc", "exp", "run", "-S", "quant=int8", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert ran(text) == ["quantize", "evaluate-on-device"]
    assert "warning: MLflow at http://127.0.0.1:9" in text
    toy.ok("git", "checkout", "--quiet", ".")
    toy.ok("dvc", "checkout", "--quiet")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("quant=int4", ["params.yaml", "quant", "'int4'", "int8_dynamic"]),
        ("device=nowhere", ["params.yaml", "device", "'nowhere'", "local"]),
        ("task=juggling", ["params.yaml", "task", "'juggling'", "toy"]),
        ("seed=-3", ["params.yaml", "seed", "-3"]),
        ("configs/toy.yaml:train.architecture=big", ["configs/toy.yaml", "train.architecture", "'big'", "dense"]),
        ("configs/toy.yaml:train.epochs=many", ["configs/toy.yaml", "train.epochs", "'many'"]),
        ("configs/toy.yaml:collect.source=moon", ["configs/toy.yaml", "collect.source", "'moon'", "dice"]),
    ],
)
def test_a_wrong_setting_is_one_line_before_any_work(toy, override, words):
    """Every stage refuses a wrong setting with one line that names file, key, value and what is allowed."""
    name, _, value = override.rpartition("=")
    file, _, key = name.rpartition(":")
    path = toy.folder / (file or "params.yaml")
    original = path.read_text()
    before = sha256(toy.folder / "models/edge.onnx")
    change(path, **{key.replace(".", "__"): yaml.safe_load(value)})
    try:
        result = toy.run(sys.executable, "-m", "stages.quantize")
    finally:
        path.write_text(original)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert sha256(toy.folder / "models/edge.onnx") == before


@pytest.mark.parametrize(("stage", "output"), [("collect", "data/raw"), ("preprocess", "data/prepared")])
def test_a_killed_stage_reruns_to_the_same_hashes(toy, stage, output):
    """SIGKILL while a stage writes leaves the earlier output whole, and the next run gives the same lock."""
    lock = (toy.folder / "dvc.lock").read_text()
    target = toy.folder / output
    partial = target.with_name(f".{target.name}.partial")
    code = (
        "import os, signal, pathlib\n"
        "pathlib.Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"import runpy; runpy.run_module('stages.{stage}', run_name='__main__')"
    )
    result = toy.run(sys.executable, "-c", code)
    assert result.returncode == -9
    assert partial.exists(), "the stage was to die while its output is under the temporary name"
    toy.ok("dvc", "repro", "--force", "--single-item", stage)
    assert (toy.folder / "dvc.lock").read_text() == lock
    assert not partial.exists()


def test_another_machine_measures_anew(toy, tmp_path):
    """Where all but the measurements is at hand, a clone runs evaluate-on-device: it has no figures of this machine."""
    subprocess.run(["git", "clone", "--quiet", toy.folder, tmp_path / "clone"], check=True)
    clone = type(toy)(tmp_path / "clone")
    shutil.copytree(toy.folder / ".dvc/cache/files", clone.folder / ".dvc/cache/files")
    outputs = yaml.safe_load((clone.folder / "dvc.lock").read_text())["stages"]["evaluate-on-device"]["outs"]
    for digest in (output["md5"] for output in outputs):
        (clone.folder / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).unlink()
    clone.ok("dvc", "checkout", "--allow-missing")
    assert not (clone.folder / "metrics/devices").exists()
    assert ran(clone.ok("dvc", "repro")) == ["evaluate-on-device"]
    assert metrics(clone, "devices/local")["model_sha256"] == sha256(clone.folder / "models/edge.onnx")


def test_a_fresh_clone_knows_that_the_lock_is_current(toy, tmp_path):
    """`dvc repro --dry --allow-missing` on a clone without cache has nothing to run."""
    subprocess.run(["git", "clone", "--quiet", toy.folder, tmp_path / "clone"], check=True)
    clone = type(toy)(Path(tmp_path / "clone"))
    assert ran(clone.ok("dvc", "repro", "--dry", "--allow-missing")) == []


def test_the_model_file_says_where_it_comes_from(toy):
    """The ONNX file alone names its task, labels, code, data and parent."""
    code = (
        "import onnx, json; from edge.models.formats.metadata import read;"
        "print(json.dumps(read(onnx.load('models/edge.onnx'))))"
    )
    entries = json.loads(toy.ok(sys.executable, "-c", code))
    assert json.loads(entries["labels"]) == ["negative", "positive"]
    assert entries["task"] == "toy"
    assert entries["quantization"] == "fp32"
    assert entries["parent_sha256"] == sha256(toy.folder / "models/model.keras")
    assert entries["data_sha256"] == sha256(toy.folder / "data/prepared/manifest.csv")
    assert len(entries["git_commit"].removesuffix("+changes")) == 40
