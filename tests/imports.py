"""Which of the project's files a file imports, read from the source: nothing is run."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent


def names(tree: ast.AST) -> set[str]:
    """Every dotted name that is imported anywhere in ``tree``: of `from a import b` both a and a.b."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: an import says its room in full"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def file_of(root: Path, name: str) -> Path | None:
    """The file below ``root`` that a dotted name stands for, relative to ``root``; None where it is none of ours."""
    base = Path(*name.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if (root / path).is_file()), None)


def imported(root: Path, tree: ast.AST) -> set[Path]:
    """The project's files that ``tree`` imports, relative to ``root``, without the packages that they lie in."""
    found = {path for path in (file_of(root, name) for name in names(tree)) if path}
    return found - {path.parent / "__init__.py" for path in found if path.name != "__init__.py"}


def with_packages(root: Path, files: set[Path]) -> set[Path]:
    """``files`` and the __init__.py of every folder above each that has code: Python runs those first."""
    packages = {folder / "__init__.py" for file in files for folder in file.parents}
    return files | {package for package in packages if (root / package).is_file() and has_code(root / package)}


def has_code(file: Path) -> bool:
    """Is there more in a file than a docstring?"""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(file.read_text()).body)
