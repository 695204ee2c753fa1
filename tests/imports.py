"""Which of the project's files a stage imports, read from the source."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent


def file_of(module: str) -> Path | None:
    """The project's file for a dotted module name, if it is the project's."""
    base = ROOT / module.replace(".", "/")
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def imported(tree: ast.AST) -> set[Path]:
    """Project files imported anywhere in ``tree``, with the packages that they lie in."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    names |= {".".join(name.split(".")[:count]) for name in names for count in range(1, name.count(".") + 1)}
    return {path for path in map(file_of, filter(None, names)) if path}


def of_stage(stage: Path) -> set[Path]:
    """Every project file that ``stage`` imports, what the tasks import included."""
    found, waiting = set(), [stage, *(ROOT / "tasks").rglob("*.py")]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += imported(ast.parse(path.read_text()))
    return found
