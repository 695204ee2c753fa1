"""A copy of the project in a folder of its own, to run the pipeline in; and which worker runs which test file."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from benchmarks.clone import change
from tests.imports import ROOT

PARTS = (
    ".dvc/config",
    ".dvc/plots",
    ".dvcignore",
    ".gitignore",
    "configs",
    "data",
    "device",
    "devices.yaml",
    "commands",
    "dvc.yaml",
    "edge",
    "metrics/.gitignore",
    "models/.gitignore",
    "params.yaml",
    "platforms",
    "plots/.gitignore",
    "requirements.txt",
    "stages",
    "tasks",
)

# Files that measure on this machine: they take turns by the board's lock, so that one worker runs them one by one.
MEASURING = (
    "tests/device/measure/test_runner.py",
    "tests/edge/devices/test_emulated_device.py",
    "tests/edge/devices/test_evaluation.py",
    "tests/stages/test_evaluate_on_device.py",
)
# These start first, the longest before the others, so that no worker is left with a long file at the end.
LONGEST = (
    *MEASURING,
    "tests/ci/test_gitlab_ci.py",
    "tests/test_default_task.py",
    "tests/edge/judge/report/test_report.py",
    "tests/test_tasks.py",
    "tests/test_pipeline.py",
    "tests/test_storage.py",
    "tests/edge/records/test_lineage.py",
    "tests/edge/records/test_registry.py",
    "tests/edge/devices/test_network.py",
)


def file_of(nodeid: str) -> str:
    """The test file of a test."""
    return nodeid.partition("::")[0]


class Files(LoadScopeScheduling):
    """Gives whole files to workers, so that each fixture of a file is made once; those that measure to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        file = file_of(nodeid)
        if file == "tests/test_tasks.py":  # each task is a project of its own
            return nodeid
        return "measuring" if file in MEASURING else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log) -> Files:
    """How `pytest -n` spreads the tests: in the order of collection."""
    config.option.loadscopereorder = False
    return Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first."""
    gone = [file for file in LONGEST if not (ROOT / file).is_file()]
    assert not gone, f"tests/conftest.py names files that are gone: {gone}"
    rank = {file: number for number, file in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(file_of(item.nodeid), len(rank)))


class Project:
    """A git and DVC repository with the pipeline's code and nothing else."""

    def __init__(self, folder: Path):
        self.folder = folder

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess:
        """Run a program of this Python environment in the project; the result has its exit status and its text."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("DVC", "MLFLOW", "EDGE_", "PYTHONPATH"))
        }
        environment |= {
            "PATH": path,
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
        } | variables
        return subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def ok(self, *words: str, **variables: str) -> str:
        """Run a program that must succeed; returns what it printed."""
        result = self.run(*words, **variables)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr


def copy_project(folder: Path, parts: Sequence[str] = PARTS) -> Project:
    """The ``parts`` of the project in ``folder``, with the toy task, committed, without its data and results."""
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *parts],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "metrics").mkdir(exist_ok=True)
    add_task(folder, "toy", "classification")
    project = Project(folder)
    project.ok("git", "init", "--quiet")
    project.ok("git", "config", "user.name", "Test")
    project.ok("git", "config", "user.email", "test@example.org")
    project.ok("git", "add", ".")
    project.ok("git", "commit", "--quiet", "-m", "The pipeline")
    return project


def add_task(folder: Path, name: str, toy: str) -> None:
    """Add tests/toy/<toy> to the project in ``folder`` as the task ``name``: two files, as for any task."""
    (folder / "tasks" / name).mkdir()
    shutil.copy(ROOT / f"tests/toy/{toy}.py", folder / f"tasks/{name}/__init__.py")
    shutil.copy(ROOT / f"tests/toy/{toy}.yaml", folder / f"configs/{name}.yaml")


def run_toy(folder: Path) -> None:
    """Copy the project into ``folder`` and run the toy task there."""
    project = copy_project(folder)
    change(project.folder / "params.yaml", task="toy")
    project.ok("dvc", "repro")
    project.ok("git", "add", ".")
    project.ok("git", "commit", "--quiet", "-m", "A run")


@pytest.fixture(scope="session")
def toy(tmp_path_factory, worker_id) -> Project:
    """The project after a full run of the toy task. Where tests run side by side, each worker has a copy of one run."""
    folder = tmp_path_factory.mktemp("toy")
    if worker_id == "master":
        run_toy(folder)
        return Project(folder)
    shared = tmp_path_factory.getbasetemp().parent / "toy"
    with open(shared.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.with_suffix(".done").exists():
            shutil.rmtree(shared, ignore_errors=True)  # what a worker left that failed
            shared.mkdir()
            run_toy(shared)
            shared.with_suffix(".done").touch()
    shutil.copytree(shared, folder, symlinks=True, dirs_exist_ok=True)
    return Project(folder)
