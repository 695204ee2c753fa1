"""Every task, shrunk, through all six stages with every scheme; tests/tasks/short/<task>.yaml says how it is shrunk."""

import json

import pytest
import yaml

import tasks
from benchmarks.clone import change
from tests.conftest import copy_project
from tests.imports import ROOT

SHORT = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / "tests/tasks/short").glob("*.yaml"))}
SCHEMES = ("fp32", "fp16", "int8_dynamic", "int8")


def flat(settings: dict, prefix: str = "") -> dict:
    """{"train": {"epochs": 2}} as {"train__epochs": 2}, as ``change`` takes it."""
    found = {}
    for key, value in settings.items():
        nested = isinstance(value, dict)
        found |= flat(value, f"{prefix}{key}__") if nested else {f"{prefix}{key}": value}
    return found


def test_every_task_is_here():
    """No task is without a short form, but for keyword spotting, which tests/test_default_task.py runs."""
    assert set(tasks.names()) == {*SHORT, "keyword_spotting"}


@pytest.mark.parametrize("name", SHORT)
def test_a_task_runs_with_every_scheme(name, tmp_path):
    """It learns, no scheme loses more than three points, and the device's outputs are those of here."""
    project = copy_project(tmp_path)
    change(tmp_path / f"configs/{name}.yaml", **flat(SHORT[name]["config"]))
    change(tmp_path / f"configs/{name}.yaml", evaluate_on_device__runs=130, evaluate_on_device__repeats=3)
    change(tmp_path / "params.yaml", task=name)
    headline = tasks.load(name).head.headline
    for scheme in SCHEMES:
        change(tmp_path / "params.yaml", quant=scheme)
        project.ok("dvc", "repro")
        quantized = json.loads((tmp_path / "metrics/quantize.json").read_text())
        measured = json.loads((tmp_path / "metrics/devices/local.json").read_text())
        assert quantized["drop"] < SHORT[name].get("drop", 0.03), scheme
        assert measured["scores"][headline] > SHORT[name]["score"], scheme
        assert measured["parity"]["agreement"] > 0.98, scheme
    draws = type(tasks.load(name)).answer is not tasks.Task.answer
    assert any((tmp_path / "plots/answers").glob("*.png")) == draws
