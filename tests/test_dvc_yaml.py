"""dvc.yaml says what the stages really are."""

import pytest
import yaml

from tests.imports import ROOT, of_stage

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
TASKS = {path.stem for path in (ROOT / "tasks").glob("[!_]*.py")}


@pytest.mark.parametrize("name", STAGES)
def test_every_imported_module_is_a_dependency(name):
    """A change to any module that a stage imports makes DVC run that stage again."""
    declared = {dep.replace("${task}", task) for dep in STAGES[name]["deps"] for task in TASKS}
    modules = {path.relative_to(ROOT) for path in of_stage(ROOT / f"stages/{name.replace('-', '_')}.py")}
    imported = {str(path) for path in modules if not declared & {str(parent) for parent in path.parents}}
    assert imported - declared == set()
    code = {dep for dep in declared if dep.endswith(".py")}
    assert code - imported == set(), "a dependency that the stage does not import"


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_says_what_it_does(name):
    """`dvc stage list` reads as a sentence for every stage."""
    assert STAGES[name]["desc"]
