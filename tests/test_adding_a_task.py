"""docs/adding-a-task.md is true: its two files are a task, and each mistake in it gets the answer that it shows."""

import json
import re

import pytest

from benchmarks.clone import change
from tests.conftest import copy_project
from tests.imports import ROOT

PAGE = (ROOT / "docs/adding-a-task.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)```$", PAGE, re.MULTILINE | re.DOTALL))
MISTAKES = re.findall(r"^\| `(.+?)` \| (?:`(.+?)`)? ?\| `(.+?)` \|$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the page's two files, and its task chosen."""
    found = copy_project(tmp_path_factory.mktemp("diary"))
    for name, content in FILES.items():
        (found.folder / name).parent.mkdir(exist_ok=True)
        (found.folder / name).write_text(content, encoding="utf-8")
    change(found.folder / "params.yaml", task="tumours")
    return found


def test_the_two_files_are_a_task(project):
    """Both networks of the page run through all six stages and meet the budget, also as int8, which is larger."""
    assert list(FILES) == ["configs/tumours.yaml", "tasks/tumours/__init__.py"]
    config = project.folder / "configs/tumours.yaml"
    for architecture, scheme in (("linear", "fp32"), ("hidden", "fp32"), ("hidden", "int8")):
        config.write_text(
            FILES["configs/tumours.yaml"].replace("architecture: hidden", f"architecture: {architecture}")
        )
        change(project.folder / "params.yaml", quant=scheme)
        said = project.ok("dvc", "repro")
        measured = json.loads((project.folder / "metrics/devices/local.json").read_text())
        assert measured["scores"]["accuracy"] > 0.93, architecture
    assert "warning: int8 makes the model" in said
    assert "missed" not in project.ok("python", "-m", "commands.gate")


@pytest.mark.parametrize(("old", "new", "answer"), MISTAKES, ids=[answer for *_, answer in MISTAKES])
def test_a_mistake_gets_the_answer_of_the_page(project, old, new, answer):
    """One change to one of the two files stops the run with the line that the page shows, not with a trace-back."""
    (name,) = [name for name, content in FILES.items() if old in content]
    file = project.folder / name
    file.write_text(FILES[name].replace(old, new), encoding="utf-8")
    change(project.folder / "params.yaml", quant="int8")
    try:
        result = project.run("dvc", "repro")
    finally:
        for name, content in FILES.items():
            (project.folder / name).write_text(content, encoding="utf-8")
    assert result.returncode != 0
    assert answer in result.stderr + result.stdout
    assert "Traceback" not in result.stderr + result.stdout
