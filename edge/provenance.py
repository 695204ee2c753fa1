"""Where an artifact comes from: the metadata that travels inside every model file."""

import json
import subprocess
from pathlib import Path

import onnx

from edge import files

CODE = ("stages", "tasks", "edge")


def git(*words: str) -> str:
    """Output of a git command, or '' where there is no repository."""
    result = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    return result.stdout.strip() if result.returncode == 0 else ""


def commit() -> str:
    """The commit that last changed the pipeline's code, with ``+changes`` when the working tree differs from it.

    Commits of documents or results leave it alone, so that the same code gives the same bytes.
    """
    changes = "+changes" if git("status", "--porcelain", "--", *CODE) else ""
    return (git("log", "-1", "--format=%H", "--", *CODE) or "none") + changes


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
