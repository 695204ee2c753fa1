"""dvc.yaml says what the stages really are: what each imports, and what each reads."""

import ast
import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from edge.core.files import sha256
from tests.conftest import Project
from tests.imports import ROOT, has_code, imported, with_packages

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
TASKS = sorted(path.parent.name for path in (ROOT / "tasks").glob("*/__init__.py"))
CODE = ("device", "edge", "stages", "tasks")
# What makes a folder a DVC project, and what every stage validates without its result depending on it.
ALWAYS = ("dvc.yaml", ".dvc/config", ".dvcignore", ".gitignore", "params.yaml", "devices.yaml")


def module_of(stage: str) -> str:
    """The name of a stage's module."""
    return stage.replace("-", "_")


def attributes(tree: ast.AST, owner: str) -> set[str]:
    """The names that ``tree`` reads from what is called ``owner``, as prepare in task.prepare or run.task.prepare."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if owner in (getattr(node.value, "id", ""), getattr(node.value, "attr", ""))}


def of_task(path: Path, called: set[str]) -> set[Path]:
    """What a task's file imports on being loaded, and inside the functions ``called`` and those that they call."""
    tree = ast.parse((ROOT / path).read_text())
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    entered, waiting = set(), set(called) & set(functions)
    while waiting:
        name = waiting.pop()
        entered.add(name)
        used = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)}
        waiting |= ((used | attributes(functions[name], "self")) & set(functions)) - entered
    inside = set().union(*(imported(ROOT, functions[name]) for name in entered))
    for function in functions.values():
        function.body = []  # what is left is what loading the file runs
    return imported(ROOT, tree) | inside


def of_stage(stage: str, task: str) -> set[Path]:
    """Every file of the project with code that a stage imports where params.yaml names ``task``."""
    front = Path("tasks", task, "__init__.py")
    found: set[Path] = set()
    called: set[str] = set()
    waiting = {Path(f"stages/{module_of(stage)}.py"), front}
    while waiting:
        path = waiting.pop()
        found.add(path)
        tree = ast.parse((ROOT / path).read_text())
        if path != front:
            waiting |= with_packages(ROOT, imported(ROOT, tree)) - found
        if new := attributes(tree, "task") - called:
            called |= new
            waiting.add(front)  # again, with the functions that this file calls
        if path == front:
            waiting |= with_packages(ROOT, of_task(front, called)) - found
    return {path for path in with_packages(ROOT, found) if has_code(ROOT / path)}


def below(path: Path, deps: list[str]) -> bool:
    """Is a file one of the dependencies, or in one of them?"""
    return any(str(place) in deps for place in (path, *path.parents))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("stage", STAGES)
def test_every_imported_file_is_below_a_dependency(stage, task):
    """A change to any file that a stage imports makes DVC run that stage again."""
    deps = [dep.replace("${task}", task) for dep in STAGES[stage]["deps"]]
    missing = sorted(str(path) for path in of_stage(stage, task) if not below(path, deps))
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("stage", STAGES)
def test_every_dependency_is_imported(stage):
    """A change to code that a stage does not import does not run the stage again."""
    files = {path for task in TASKS for path in of_stage(stage, task)}
    code = [dep for dep in STAGES[stage]["deps"] if dep.split("/")[0] in CODE]
    expanded = {dep: [dep.replace("${task}", task) for task in TASKS] for dep in code}
    unneeded = [dep for dep in code if not any(below(path, expanded[dep]) for path in files)]
    assert not unneeded, "\n".join(unneeded)


def listed(entries: list) -> list[str]:
    """The paths of a list in dvc.yaml, whose entries may have options; of parameters, the files."""
    paths = [path for entry in entries for path in (entry if isinstance(entry, dict) else [entry])]
    return [path.replace("${task}", "toy") for path in paths]


def sparse_clone(toy: Project, folder: Path, stage: str) -> Project:
    """A clone of the toy project with no other files than those that one stage names, and the code's history."""
    files = [path for path in listed(STAGES[stage]["params"]) if path.endswith(".yaml")]  # the others are keys
    for name in (*ALWAYS, *files, *listed(STAGES[stage]["deps"])):
        source, target = toy.folder / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    shutil.copytree(toy.folder / ".git", folder / ".git")
    clone = Project(folder)
    absent = clone.ok("git", "ls-files", "--deleted").splitlines()
    clone.ok("git", "update-index", "--skip-worktree", *absent)  # git does not call them deleted
    return clone


def content(folder: Path, paths: list[str]) -> dict[str, str]:
    """The hash of every file at ``paths``, or below."""
    found = [file for path in paths for file in (folder / path, *(folder / path).rglob("*")) if file.is_file()]
    return {str(file.relative_to(folder)): sha256(file) for file in found}


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "evaluate-on-device"])
def test_a_stage_reads_nothing_but_its_dependencies(toy, tmp_path, stage):
    """In a clone with only the files that a stage names, the stage writes the bytes of the toy run."""
    clone = sparse_clone(toy, tmp_path / "clone", stage)
    clone.ok(sys.executable, "-m", f"stages.{module_of(stage)}")
    outputs = [path for kind in ("outs", "metrics", "plots") for path in listed(STAGES[stage].get(kind, []))]
    expected = content(toy.folder, outputs)
    assert expected
    assert content(clone.folder, outputs) == expected


def test_a_measurement_reads_nothing_but_its_dependencies(toy, tmp_path):
    """In a clone with only the files that it names, evaluate-on-device measures and registers the model."""
    clone = sparse_clone(toy, tmp_path / "clone", "evaluate-on-device")
    assert "warning" not in clone.ok(sys.executable, "-m", "stages.evaluate_on_device")
    measured = json.loads((clone.folder / "metrics/devices/local.json").read_text())
    assert measured["model_sha256"] == sha256(clone.folder / "models/edge.onnx")
    code = "import mlflow; print(mlflow.MlflowClient().get_model_version_by_alias('toy', 'candidate').version)"
    assert clone.ok(sys.executable, "-c", code).splitlines()[-1] == "1"
