"""A fresh clone of this repository, to run the pipeline in without touching this one."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent


class Clone:
    """The last commit in a folder of its own, run with this Python environment."""

    def __init__(self, folder: Path):
        self.folder = folder
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        (folder / ".dvc/config.local").write_text("[core]\n    analytics = false\n")

    def run(self, *words: str, **variables: str) -> float:
        """Run a command there, its output to stderr; returns its wall time in seconds. A failure ends the benchmark."""
        environment = (
            os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | variables
        )
        environment.pop("PYTHONPATH", None)
        start = time.perf_counter()
        subprocess.run(words, cwd=self.folder, env=environment, stdout=sys.stderr, check=True)
        return time.perf_counter() - start

    def set(self, file: str, **values) -> None:
        """Change values of a YAML file there."""
        change(self.folder / file, **values)

    def metrics(self, name: str) -> dict:
        """The content of metrics/<name>.json."""
        return json.loads((self.folder / f"metrics/{name}.json").read_text())


def change(path: Path, **values) -> None:
    """Change values of a YAML file; the key ``a__b`` is b in section a. Comments are lost."""
    content = yaml.safe_load(path.read_text())
    for name, value in values.items():
        *sections, key = name.split("__")
        place = content
        for section in sections:
            place = place[section]
        place[key] = value
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


@contextmanager
def clone() -> Iterator[Clone]:
    """A Clone that goes away at the end."""
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as folder:
        yield Clone(Path(folder, "clone"))


def row(what: str, asked: str, measured: str) -> None:
    """Print a row of the results table."""
    print(f"| {what} | {asked} | {measured} |", flush=True)
