"""The house of docs/architecture.md: who may import whom, where a file may lie, and how long it may be."""

import ast
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT, imported, names

CORE, DATA, HEADS, FORMATS = "edge/core", "edge/data", "edge/heads", "edge/models/formats"
LIBRARY = {CORE, DATA, HEADS, "edge/modalities", "edge/models", FORMATS}
DEVICE = {"device", "device/measure", "device/serve"}
STAGED = LIBRARY | {"edge/devices", "edge/records"}
EDGE = STAGED | {"edge/judge", "edge/deployment", "edge/monitoring"}

# Room: the number of its rule, and the rooms that its files may import besides their own.
RULES = {
    "device": (1, set()),
    "device/measure": (1, {"device"}),
    "device/serve": (1, {"device"}),
    CORE: (2, set()),
    DATA: (2, {CORE}),
    "edge/modalities": (2, {CORE, DATA}),
    HEADS: (2, {CORE, DATA}),
    FORMATS: (2, {CORE, DATA, HEADS}),
    "edge/models": (2, {CORE, DATA, HEADS, FORMATS}),
    "tasks": (3, LIBRARY),
    "tasks/<task>": (3, LIBRARY | {"tasks"}),
    "edge/records": (4, {CORE, DATA, FORMATS}),
    "edge/devices": (4, {CORE, DATA, HEADS, FORMATS, "edge/records"} | DEVICE),
    "edge/judge": (5, {CORE, DATA, HEADS, FORMATS, "edge/devices", "edge/records", "tasks"}),
    "edge/deployment": (5, {CORE, "edge/devices", "edge/records"}),
    "edge/monitoring": (5, {CORE, DATA, HEADS, "edge/records", "edge/deployment"}),
    "stages": (6, STAGED | {"tasks"}),
    "commands": (6, EDGE | {"tasks", "ui"}),
    "ui": (6, EDGE),
    "platforms": (6, {CORE, "edge/records"}),
}
OURS = {name.split("/")[0] for name in RULES}
ON_A_DEVICE = sys.stdlib_module_names | {"numpy", "onnxruntime", "ai_edge_litert"}  # rule 1
RECORDS_ONLY = {"dvc", "git", "mlflow", "sqlite3", "sqlalchemy"}  # rule 4
SHARED = Path("device/tensors.py")  # what is stored becomes what a graph takes: host, training and board share this
LONGEST = {"stages/*.py": 75, "commands/*.py": 45, "tasks/*/__init__.py": 125}


def room(path: Path) -> str | None:
    """The room of RULES that a file lies in."""
    if path.parts[0] == "tasks" and len(path.parts) > 2:
        return "tasks/<task>"
    return next((str(folder) for folder in path.parents if str(folder) in RULES), None)


def files(root: Path) -> list[Path]:
    """The Python files in every room, relative to ``root``."""
    return sorted(path.relative_to(root) for top in OURS for path in (root / top).rglob("*.py"))


def breaks(root: Path) -> list[str]:
    """Each import that a rule does not allow: file, import, rule."""
    found = []
    for path in files(root):
        own, tree = room(path), ast.parse((root / path).read_text())
        if own is None:
            continue
        rule, allowed = RULES[own]
        for other in imported(root, tree) - {Path("edge/__init__.py"), SHARED}:
            same = path.parts[:2] == other.parts[:2] if own == "tasks/<task>" else own == room(other)
            hidden = own == "tasks/<task>" and other == Path("edge/core/paths.py")
            if hidden or not (same or room(other) in allowed):
                found.append(f"{path} imports {other}: rule {rule}")
        packages = {name.split(".")[0] for name in names(tree)}
        if rule == 1:
            found += [f"{path} imports {name}: rule 1" for name in packages - ON_A_DEVICE - OURS]
        if own != "edge/records":
            found += [f"{path} imports {name}: rule 4" for name in packages & RECORDS_ONLY]
    return sorted(found)


def test_every_import_keeps_the_rules():
    """No file imports from a room that its rule does not name; what breaks a rule is named with file and import."""
    found = breaks(ROOT)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("device/health.py", "from edge.core import files", "imports edge/core/files.py: rule 1"),
        ("device/runtimes.py", "import scipy", "imports scipy: rule 1"),
        ("device/measure/work.py", "from device.serve import server", "imports device/serve/server.py: rule 1"),
        ("edge/models/training.py", "def f():\n    import edge.modalities", "edge/modalities/__init__.py: rule 2"),
        ("tasks/one/__init__.py", "from edge.core import paths", "imports edge/core/paths.py: rule 3"),
        ("tasks/one/__init__.py", "from tasks import two", "imports tasks/two/__init__.py: rule 3"),
        ("edge/devices/link.py", "import tasks", "imports tasks/__init__.py: rule 4"),
        ("edge/judge/budget.py", "import mlflow", "imports mlflow: rule 4"),
        ("edge/deployment/rollout.py", "from edge.judge import budget", "imports edge/judge/budget.py: rule 5"),
        ("stages/train.py", "from edge.judge.budget import main", "imports edge/judge/budget.py: rule 6"),
    ],
)
def test_each_rule_can_be_broken(tmp_path, file, line, broken):
    """A tree with one wrong import has that one break, at top level and inside a function."""
    empty = ("edge/core/files.py", "edge/core/paths.py", "edge/judge/budget.py", "edge/modalities/__init__.py")
    for path in (*empty, "device/serve/server.py", "tasks/__init__.py", "tasks/two/__init__.py", file):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / file).write_text(line + "\n")
    (found,) = breaks(tmp_path)
    assert found.startswith(f"{file} imports ")
    assert found.endswith(broken)


def test_every_file_lies_in_a_room():
    """edge/ holds rooms and no loose file, and every folder of code is in a room that has a rule."""
    loose = [str(path) for path in files(ROOT) if room(path) is None]
    assert loose == ["edge/__init__.py"]


def test_every_room_says_what_it_is():
    """The __init__.py of every folder of code has a docstring of one line."""
    packages = {path.parent / "__init__.py" for path in files(ROOT)}
    said = {path: ast.get_docstring(ast.parse((ROOT / path).read_text())) or "" for path in packages}
    mute = sorted(str(path) for path, text in said.items() if len(text.splitlines()) != 1)
    assert not mute, "\n".join(mute)


def test_stages_commands_and_tasks_are_short():
    """A stage, a command and the front of a task fit on a page or two; the rest belongs into edge."""
    found = {
        path: (len(path.read_text().splitlines()), most) for glob, most in LONGEST.items() for path in ROOT.glob(glob)
    }
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines, at most {most}"
        for path, (lines, most) in found.items()
        if lines > most
    ]
    assert found
    assert not long, "\n".join(long)
