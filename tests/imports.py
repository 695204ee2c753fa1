"""Which of the project's modules a stage imports, read from the source."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent


def file_of(module: str) -> Path | None:
    """The project's file for a dotted module name, if it is the project's."""
    base = ROOT / module.replace(".", "/")
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def imported(tree: ast.AST, inside_functions: bool) -> set[Path]:
    """Project files imported in ``tree``: at its top level only, or anywhere in it."""
    nodes = ast.walk(tree) if inside_functions else tree.body
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    names |= {name.rpartition(".")[0] for name in names}
    return {path for path in map(file_of, filter(None, names)) if path and path.stat().st_size}


def of_stage(stage: Path) -> set[Path]:
    """Every project file that ``stage`` imports, and what the task functions that it calls import inside themselves."""
    tree = ast.parse(stage.read_text())
    called = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "task"}
    entered = {}
    for path in (ROOT / "tasks").glob("[!_]*.py"):
        functions = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef) and n.name in called]
        entered |= {path: set().union(*(imported(function, True) for function in functions))}
    found, waiting = set(), [stage, *entered]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += imported(ast.parse(path.read_text()), ROOT / "edge" in path.parents or path == stage)
            waiting += entered.get(path, ())
    return found
