"""Settings mean the same to us as to DVC, which rewrites the files."""

import os
import shutil
import subprocess
import sys

import pytest
from dvc.utils.hydra import apply_overrides

import tasks
from edge.core.errors import UserError
from tests.imports import ROOT


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The project's settings in the current folder."""
    for name in ("params.yaml", "devices.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_settings_that_ship_are_valid(here):
    """params.yaml and every config in the repository load."""
    for task in tasks.names():
        apply_overrides(here / "params.yaml", [f"task={task}"])
        assert tasks.selected().params.task == task


def test_what_dvc_writes_reads_as_it_was_meant(here):
    """After `-S` the words yes, no, on and off are still words, and 1e-5 is still a number."""
    apply_overrides(here / "configs/keyword_spotting.yaml", ["train.learning_rate=1e-5"])
    config = tasks.selected().config
    assert {"yes", "no", "on", "off"} <= set(config.collect.words)
    assert config.train.learning_rate == 1e-5


def test_a_device_or_a_list_of_devices(here):
    """`-S device=` takes one name or a list, each device once; an unknown one among them is named."""
    assert tasks.selected().params.devices == ["local"]
    apply_overrides(here / "params.yaml", ["device=[pi4, local, pi4]"])
    assert tasks.selected().params.devices == ["pi4", "local"]
    apply_overrides(here / "params.yaml", ["device=[local, nowhere]"])
    with pytest.raises(UserError, match=r"device = 'nowhere': devices\.yaml has local"):
        tasks.selected()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("task: [", "params.yaml is not valid YAML"),
        ("task: " + "[" * 5000, "params.yaml is not valid YAML: it is nested too deeply"),
        ("task: 2020-13-45", "params.yaml is not valid YAML"),
        ("? [a, {b: c}]\n: d", "params.yaml is not valid YAML"),
        ("- task", "params.yaml must be a mapping"),
        ("task: keyword_spotting\nquant: int8\ndevice: local\n", "params.yaml: seed: Field required"),
        ("task: keyword_spotting\nquant: int8\ndevice: local\nseed: 1\nspeed: 2\n", "params.yaml: speed = 2"),
        ("task: keyword_spotting\nquant: int8\ndevice: local\nseed: 1.5\n", "params.yaml: seed = 1.5"),
        ("task: ../x\nquant: int8\ndevice: local\nseed: 1\n", "params.yaml: task = '../x': allowed are activity_rec"),
    ],
)
def test_a_broken_file_is_one_clear_line(here, content, message):
    """Malformed YAML, a missing, unknown or mistyped key: each error names the file and the key."""
    (here / "params.yaml").write_text(content)
    with pytest.raises(UserError) as caught:
        tasks.selected()
    assert message in " ".join(str(caught.value).split())


def test_sections_are_checked_against_each_other(here):
    """A clip that is shorter than the window of the front end stops the first stage that runs."""
    apply_overrides(here / "configs/keyword_spotting.yaml", ["preprocess.seconds=0.02"])
    with pytest.raises(UserError, match=r"preprocess.seconds = 0.02 is shorter than train.front_end.window = 0.03"):
        tasks.selected()


def test_a_long_wrong_value_is_cut(here):
    """An error shows the beginning of a value, not megabytes of it."""
    (here / "params.yaml").write_text("task: keyword_spotting\nquant: " + "x" * 10_000 + "\ndevice: local\nseed: 1\n")
    with pytest.raises(UserError) as caught:
        tasks.selected()
    assert len(str(caught.value)) < 500


def test_settings_are_utf8_in_any_locale(here):
    """Comments with umlauts are read where the locale is POSIX and Python's UTF-8 mode is off."""
    (here / "x.yaml").write_text("word: grün", encoding="utf-8")
    code = "from pathlib import Path; from edge.core import settings; print(ascii(settings.read(Path('x.yaml'))))"
    environment = os.environ | {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert run.stdout == "{'word': 'gr\\xfcn'}\n", run.stderr
