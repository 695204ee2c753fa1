"""How many rooms the code has, and on how many floors: python -m benchmarks.rooms [revision].

A room is a folder of code below the top or below edge; a file that lies loose in edge is a room of its own. A room
stands on those that it imports from; the floors are the longest way up. Rooms that import each other share a floor.
"""

import ast
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import networkx

from benchmarks.clone import ROOT, row
from tests.imports import imported

CODE = ("commands", "device", "edge", "platforms", "stages", "tasks", "ui")


def room(path: Path) -> str:
    """The room of a file, relative to the repository."""
    if path.parts[0] == "edge":
        return "/".join(path.parts[:2]).removesuffix(".py")
    return path.parts[0]


def graph(root: Path) -> networkx.DiGraph:
    """The rooms, with an arrow from each to those that it imports from."""
    rooms = networkx.DiGraph()
    for path in sorted(root.rglob("*.py")):
        file = path.relative_to(root)
        if file.parts[0] in CODE and file != Path("edge/__init__.py"):
            rooms.add_node(room(file))
            others = imported(root, ast.parse(path.read_text())) - {Path("edge/__init__.py")}
            rooms.add_edges_from((room(file), room(other)) for other in others if room(other) != room(file))
    return rooms


def floors(rooms: networkx.DiGraph) -> int:
    """How many rooms stand on each other at most."""
    return networkx.dag_longest_path_length(networkx.condensation(rooms)) + 1


def cycles(rooms: networkx.DiGraph) -> list[str]:
    """Rooms that import each other, directly or by others."""
    return [", ".join(sorted(group)) for group in networkx.strongly_connected_components(rooms) if len(group) > 1]


def main() -> None:
    revision = sys.argv[1] if len(sys.argv) > 1 else "HEAD"
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
        rooms = graph(Path(folder))
    circles = "; ".join(cycles(rooms)) or "none"
    row(f"rooms of the code at {revision}", "no circle", f"{len(rooms)} on {floors(rooms)} floors; circles: {circles}")


if __name__ == "__main__":
    main()
