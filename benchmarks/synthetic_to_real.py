"""Prints the accuracy, on every clip of real people in FSDD, of a model that was trained on synthetic digits only."""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import real_speech
from benchmarks.clone import SHORT, clone, row
from edge.data import shards
from edge.models.formats import onnx_file

SYNTHETIC = real_speech.RECIPE | {
    "collect__words": real_speech.DIGITS,
    "collect__unknown": 0,
    "collect__silence": 0,
    "collect__synthetic__per_word": 700,
    "preprocess__rate": 8000,
    "train__epochs": 30,
}


def main() -> None:
    if reason := real_speech.missing():
        row("synthetic digits only, all of FSDD", "at least 80 %", reason)
        return
    with clone() as here, tempfile.TemporaryDirectory() as temporary:
        minutes = real_speech.train(here, SYNTHETIC)
        here.run("dvc", "repro", "convert")
        model = Path(temporary, "model.onnx")
        shutil.copy(here.folder / "models/model.onnx", model)
        here.set(real_speech.CONFIG, **real_speech.FSDD | (real_speech.SHRUNK if SHORT else {}))
        here.run("dvc", "repro", "preprocess")
        right = total = 0
        for name in shards.SPLITS:
            split = shards.load(here.folder / "data/prepared", name)
            right += int(np.sum(onnx_file.predict(model, split).argmax(axis=1) == split.y))
            total += len(split)
    row(f"synthetic digits only, all of FSDD ({total} clips)", "at least 80 %", f"{right / total:.1%}")
    row("synthetic digits only, time of training", "under 15 min", f"{minutes:.1f} min")


if __name__ == "__main__":
    main()
