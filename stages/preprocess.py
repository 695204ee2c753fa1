"""Preprocess: reads data/raw, writes data/prepared (memory-mapped shards), metrics/data.json and plots/samples."""

import shutil
import tempfile
from pathlib import Path

import tasks
from edge.core import errors, files, paths
from edge.data import labels, shards


def preprocess(task, config, raw: Path, prepared: Path, samples: Path, seed: int) -> dict:
    """Prepare ``raw`` into splits; ``prepared`` and ``samples`` are replaced only when whole. Returns the counts."""
    with files.atomic(prepared) as folder:
        folder.mkdir()
        counts = task.prepare(raw, folder, config, seed)
    with files.atomic(samples) as folder:
        folder.mkdir()
        samples_of(task, prepared, folder)
    return counts


def samples_of(task, prepared: Path, out: Path) -> None:
    """Write a picture of each training example that a person looks at first, ``<name>.png``.

    Raises UserError for a name that could lead out of the folder ``out``.
    """
    split, spec = shards.load(prepared, "train"), shards.load_spec(prepared)
    for name, row in task.head.shown(split.y, spec).items():
        try:
            target = out / labels.file_name(name, ".png")
        except ValueError as error:
            raise errors.UserError(f"{prepared}/spec.json: a label cannot name a picture: {error}") from None
        with tempfile.TemporaryDirectory(prefix="edge-") as folder:
            task.example(split.x[row], spec, Path(folder))
            for picture in Path(folder).glob("*.png"):
                shutil.move(picture, target)


def main() -> None:
    params, task, config = tasks.selected()
    counts = preprocess(task, config.preprocess, paths.RAW, paths.PREPARED, paths.SAMPLES, params.seed)
    files.write_json(paths.METRICS / "data.json", counts)


if __name__ == "__main__":
    errors.run(main)
