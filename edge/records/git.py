"""What git knows of the code: output of its commands, and the commit that an artifact is made of."""

import subprocess
from pathlib import Path

from ruamel.yaml import YAML

from edge.core import files

CODE = ("dvc.yaml", "edge", "stages", "tasks")


def output(*words: str) -> str:
    """Output of a git command, or '' where there is no repository."""
    result = subprocess.run(["git", *words], capture_output=True, text=True, errors="replace", check=False)
    return result.stdout.strip() if result.returncode == 0 else ""


def commit(stage: str, task: str) -> str:
    """The commit that last changed the code of a stage's output, with ``+changes`` where the working tree differs."""
    return code_commit(stage, task) + ("+changes" if output("status", "--porcelain", "--", *CODE) else "")


def code_commit(stage: str, task: str, revision: str = "HEAD") -> str:
    """The last commit up to ``revision`` that changed the modules of ``stage`` or of a stage before it; or "none".

    dvc.yaml there lists them. Commits of documents, results or other code leave it alone, so that what DVC has no
    reason to run again has the same bytes when it runs again.
    """
    stages = (YAML(typ="safe", pure=True).load(output("show", f"{revision}:dvc.yaml")) or {}).get("stages", {})
    if stage not in stages:
        return "none"
    names = list(stages)[: list(stages).index(stage) + 1]
    deps = {dep.replace("${task}", task) for name in names for dep in stages[name]["deps"]}
    code = sorted(dep for dep in deps if dep.split("/")[0] in CODE)
    return output("log", "-1", "--format=%H", revision, "--", *code) or "none"


def data_sha256(prepared: Path) -> str:
    """One hash over the training data: the prepared manifest lists every clip with its own hash."""
    return files.sha256(prepared / "manifest.csv")
