"""dvc.yaml says what the stages really are."""

import pytest
import yaml

from tests.imports import ROOT

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
TASKS = {path.parent.name for path in (ROOT / "tasks").glob("*/__init__.py")}


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_says_what_it_does(name):
    """`dvc stage list` reads as a sentence for every stage."""
    assert STAGES[name]["desc"]
