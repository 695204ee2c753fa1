"""Preprocess: reads data/raw, writes data/prepared (memory-mapped shards), metrics/data.json and plots/samples."""

from pathlib import Path

import tasks
from edge.core import errors, files, paths
from edge.data import shards


def preprocess(task, config, raw: Path, prepared: Path, samples: Path, seed: int) -> dict:
    """Prepare ``raw`` into splits; ``prepared`` and ``samples`` are replaced only when whole. Returns the counts."""
    with files.atomic(prepared) as folder:
        folder.mkdir()
        counts = task.prepare(raw, folder, config, seed)
    with files.atomic(samples) as folder:
        folder.mkdir()
        tasks.pictures(task.head, task.show, shards.load(prepared, "train"), shards.load_spec(prepared), folder)
    return counts


def main() -> None:
    params, task, config = tasks.selected()
    counts = preprocess(task, config.preprocess, paths.RAW, paths.PREPARED, paths.SAMPLES, params.seed)
    files.write_json(paths.METRICS / "data.json", counts)


if __name__ == "__main__":
    errors.run(main)
