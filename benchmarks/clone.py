"""What benchmarks share: a fresh clone of this repository to run the pipeline in, and the rows of the table."""

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
SHORT = os.environ.get("EDGE_BENCH") == "short"  # shows that a benchmark works; its figures mean nothing


class Repository:
    """A DVC repository in ``folder``, run with this Python environment."""

    def __init__(self, folder: Path):
        self.folder = folder

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

    def accuracy(self, name: str) -> float:
        """The accuracy in metrics/<name>.json."""
        read = self.metrics(name)
        return read["scores"]["accuracy"]


class Clone(Repository):
    """The last commit in a folder of its own."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        for name, value in {"user.name": "Benchmark", "user.email": "benchmark@example.org"}.items():
            subprocess.run(["git", "-C", folder, "config", name, value], check=True)
        (folder / ".dvc/config.local").write_text("[core]\n    analytics = false\n")


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


def untrained(path: Path) -> Path:
    """Write the keyword spotter of the default settings to ``path`` as ONNX, and return it.

    It is not trained: neither the time of an inference nor memory depends on what the weights are.
    """
    import tasks
    from edge.core import paths, settings
    from edge.data.shards import Spec, Tensor
    from edge.models import training
    from edge.models.formats import onnx_export

    task = tasks.load("keyword_spotting")
    file = ROOT / paths.CONFIGS / "keyword_spotting.yaml"
    config = settings.validate(task.Train, settings.read(file)["train"], file, "train")
    ends = Tensor("waveform", (16000,), scale=1 / 32768), Tensor("scores", (10,))
    spec = Spec(*ends, tuple("0123456789"), {"sample_rate": 16000})
    training.deterministic(1)
    model = task.head.finish(task.build(config, spec, 1), config, spec)
    onnx_export.to_onnx(model, spec, 18, {"task": "keyword_spotting"}, path)
    return path


def row(what: str, asked: str, measured: str) -> None:
    """Print a row of the results table."""
    print(f"| {what} | {asked} | {' '.join(measured.split())} |", flush=True)
