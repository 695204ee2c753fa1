"""One file per task: the only code that knows the domain. docs/architecture.md has the contract."""

import importlib
from pathlib import Path
from types import ModuleType

from edge.errors import UserError

CONTRACT = ("LABEL", "Collect", "Preprocess", "Train", "sources", "prepare", "build", "augment", "score", "figures")
CONTRACT += ("example",)


def names() -> list[str]:
    """The tasks there are, by file name."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def load(name: str) -> ModuleType:
    """Import ``tasks/<name>.py``; raises UserError for an unknown name or one that misses part of the contract."""
    if name not in names():
        raise UserError(f"params.yaml: task = {name!r}: allowed are {', '.join(names())}")
    task = importlib.import_module(f"tasks.{name}")
    missing = [part for part in CONTRACT if not hasattr(task, part)]
    if missing:
        raise UserError(f"tasks/{name}.py lacks {', '.join(missing)}: see the task contract in docs/architecture.md")
    return task
