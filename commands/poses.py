"""Poses in pictures as a csv that the task activity_recognition reads (source poses): docs/series.md."""

import argparse
from pathlib import Path

from edge.core import errors
from edge.modalities.series import poses


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m commands.poses", description=__doc__)
    parser.add_argument("model", type=Path, help="a TFLite pose model: MediaPipe's, MoveNet or PoseNet")
    parser.add_argument("pictures", type=Path, help="folder or archive of label/picture or label/recording/picture")
    parser.add_argument("out", type=Path, help="the csv file to write")
    arguments = parser.parse_args()
    counts = poses.write(arguments.model, arguments.pictures, arguments.out)
    print(
        f"{arguments.out}: {counts['written']} poses, {counts['unreadable']} unreadable, {counts['nobody']} of nobody"
    )


if __name__ == "__main__":
    errors.run(main)
