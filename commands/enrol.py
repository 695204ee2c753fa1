"""Add classes to the trained classifier from five examples each or more, without training: docs/enrolment.md.

FOLDER has one folder for each new class, in it files of the task's own kind, such as pictures. They are checked and
copied to data/enrolled/<task>, which the stage convert reads: `dvc repro` then makes, quantizes and measures the larger
model. A class that is enrolled already is replaced. To take a class back, remove its folder from there.
"""

import argparse
import shutil
from pathlib import Path

import tasks
from edge.core import errors, files, paths
from edge.core.errors import UserError
from edge.data import enrolled, shards


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m commands.enrol", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="one folder for each new class, in it 5 to 10 files or more")
    folder = parser.parse_args().folder
    params, task, config = tasks.selected()
    spec = shards.load_spec(paths.PREPARED)
    new = enrolled.read(folder, spec, task.read_example, config.preprocess)
    if new is None:
        raise UserError(f"{folder} has no folders in it: make one for each new class, with 5 to 10 files")
    from edge.models import enrolment, keras_file

    enrolment.check(task.head)
    enrolment.embedding(keras_file.load(paths.KERAS, task.layers() | task.head.layers()))
    for label, place in zip(new.labels, new.folders, strict=True):
        with files.atomic(paths.ENROLLED / params.task / label) as target:
            shutil.copytree(place, target, ignore=shutil.ignore_patterns(".*"))
    print(f"enrolled: {', '.join(new.labels)} ({len(new.x)} examples); `dvc repro` makes the model that knows them")


if __name__ == "__main__":
    errors.run(main)
