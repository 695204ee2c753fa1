"""Collect: reads the source that the config names, writes data/raw (clips and a manifest)."""

from pathlib import Path

import tasks
from edge.core import errors, files, paths


def collect(task, config, out: Path, seed: int) -> None:
    """Fill ``out`` from the source ``config.source``; ``out`` is replaced only when all of it arrived."""
    with files.atomic(out) as folder:
        folder.mkdir()
        task.sources()[config.source](config, folder, seed)


def main() -> None:
    params, task, config = tasks.selected()
    collect(task, config.collect, paths.RAW, params.seed)


if __name__ == "__main__":
    errors.run(main)
