"""Runs pipelines of .gitlab-ci.yml on this machine: gitlab-ci-local, each job in a folder of its own."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests import npm

HERE = Path(__file__).parent
PROGRAM = HERE / "node_modules/gitlab-ci-local/src/index.js"
ISOLATED = ("--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source", "--quiet=false")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def install() -> None:
    """Install gitlab-ci-local; skips where that is not possible."""
    npm.install(HERE, "no job of .gitlab-ci.yml was run")


class Pipeline:
    """A clone in which jobs run; ``status`` has PASS, WARN or FAIL of each job that started, ``text`` all output."""

    def __init__(self, folder: Path, **variables: str):
        self.folder, self.variables = folder, variables
        self.status, self.text = {}, ""

    def run(self, *jobs: str) -> int:
        """Run the whole pipeline, or the jobs named on what those before them left; returns the exit status."""
        result = self.start(*ISOLATED, *jobs)
        self.text = COLOUR.sub("", result.stdout + result.stderr)
        ended = re.findall(r"^ (PASS|WARN|FAIL) +(\S+)(?: +pre_script)?\s*$", self.text, re.MULTILINE)
        self.status = {name: word for word, name in ended}
        assert self.status, self.text
        return result.returncode

    def jobs(self) -> set[str]:
        """The jobs that this pipeline would have."""
        lines = self.start("--list-csv").stdout.splitlines()
        table = lines[next(number for number, line in enumerate(lines) if line.startswith("name;")) :]
        return {row["name"] for row in csv.DictReader(table, delimiter=";") if row["when"] != "never"}

    def log(self, job: str) -> str:
        """What a job printed."""
        return COLOUR.sub("", (self.folder / f".gitlab-ci-local/output/{job}.log").read_text())

    def artifact(self, job: str, name: str) -> str:
        """A text file that a job left."""
        return (self.folder / ".gitlab-ci-local/artifacts" / job / name).read_text()

    def ran(self, job: str) -> list[str]:
        """The stages that DVC ran in a job."""
        return re.findall(r"^Running stage '(.+)':", self.log(job), re.MULTILINE)

    def start(self, *words: str) -> subprocess.CompletedProcess:
        given = [part for name, value in self.variables.items() for part in ("--variable", f"{name}={value}")]
        if self.variables["CI_PIPELINE_SOURCE"] == "merge_request_event":
            given += ["--unset-variable", "CI_COMMIT_BRANCH"]
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "CI", "DVC", "EDGE_", "GIT", "MLFLOW", "PYTHONPATH"))
        }
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["node", str(PROGRAM), *given, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


def schema() -> dict:
    """GitLab's published schema of .gitlab-ci.yml, as the package check-jsonschema carries it."""
    return json.loads((HERE / "gitlab-ci.schema.json").read_text())
