"""Where an artifact comes from: the metadata that travels inside every model file."""

import json
import subprocess
from pathlib import Path

import onnx
from ruamel.yaml import YAML

from edge import files

CODE = ("dvc.yaml", "edge", "stages", "tasks")


def git(*words: str) -> str:
    """Output of a git command, or '' where there is no repository."""
    result = subprocess.run(["git", *words], capture_output=True, text=True, errors="replace", check=False)
    return result.stdout.strip() if result.returncode == 0 else ""


def commit(stage: str, task: str) -> str:
    """The commit that last changed the code of a stage's output, with ``+changes`` where the working tree differs."""
    return code_commit(stage, task) + ("+changes" if git("status", "--porcelain", "--", *CODE) else "")


def code_commit(stage: str, task: str, revision: str = "HEAD") -> str:
    """The last commit up to ``revision`` that changed the modules of ``stage`` or of a stage before it; or "none".

    dvc.yaml there lists them. Commits of documents, results or other code leave it alone, so that what DVC has no
    reason to run again has the same bytes when it runs again.
    """
    stages = (YAML(typ="safe", pure=True).load(git("show", f"{revision}:dvc.yaml")) or {}).get("stages", {})
    if stage not in stages:
        return "none"
    names = list(stages)[: list(stages).index(stage) + 1]
    deps = {dep.replace("${task}", task) for name in names for dep in stages[name]["deps"] if dep.endswith(".py")}
    return git("log", "-1", "--format=%H", revision, "--", *sorted(deps)) or "none"


def data_sha256(prepared: Path) -> str:
    """One hash over the training data: the prepared manifest lists every clip with its own hash."""
    return files.sha256(prepared / "manifest.csv")


def write(model: onnx.ModelProto, entries: dict) -> None:
    """Add ``entries`` to the model's metadata_props, in place; what is not a string is stored as JSON."""
    merged = read(model) | {key: v if isinstance(v, str) else json.dumps(v) for key, v in entries.items()}
    onnx.helper.set_model_props(model, dict(sorted(merged.items())))


def read(model: onnx.ModelProto) -> dict[str, str]:
    """The model's metadata_props as a dict."""
    return {entry.key: entry.value for entry in model.metadata_props}
