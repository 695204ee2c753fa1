"""Where a model file comes from, and the commands that build it again: python -m commands.explain FILE."""

import argparse
from pathlib import Path

from edge.core import errors
from edge.records import lineage


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m commands.explain", description=__doc__)
    parser.add_argument("file", type=Path, help="an .onnx or .tflite file that the pipeline wrote")
    print(lineage.explain(parser.parse_args().file))


if __name__ == "__main__":
    errors.run(main)
