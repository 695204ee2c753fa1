"""Prints macro-F1 on people never seen in training, of fp32 and int8: seven folds of two of fourteen people.

A fold is trained once, on all windows (preprocess.purity 0), and scored twice: on all windows of its people, and on
those of which at least 60 % of the middle second has one label. The model is the same, so the rows differ by nothing
but the windows that are asked about. Needs the archive in the folder that EDGE_DATA_MIRROR names. The short form takes
one fold of generated motion.
"""

import os
import sys

import numpy as np
import pandas as pd

from benchmarks.clone import SHORT, Repository, clone, row

CONFIG = "configs/activity_recognition.yaml"
PEOPLE = [f"s{number:02}" for number in range(1, 15)]
ASKED = {"all windows": "at least 89 %", "windows of purity 60 % and more": "at least 93 %"}
PURE = 0.6
SHRUNK = {"collect__source": "generated", "collect__generated__subjects": 6, "train__epochs": 1}


def folds() -> list[tuple[list[str], list[str]]]:
    """(test, val) of each fold: persons n and n + 7 are tested, the next person is for validation."""
    if SHORT:
        return [(["p00", "p01"], ["p02"])]
    return [([PEOPLE[fold], PEOPLE[fold + 7]], [PEOPLE[fold + 1]]) for fold in range(7)]


def scores(here: Repository) -> list[float]:
    """Macro-F1 of the model that ships on the test people: on all windows, on windows of one label."""
    from edge import heads
    from edge.data import shards
    from edge.models.formats import onnx_file

    prepared = here.folder / "data/prepared"
    test, manifest = shards.load(prepared, "test"), pd.read_csv(prepared / "manifest.csv")
    pure = (manifest.purity[manifest.split == "test"] >= PURE).to_numpy()
    outputs, head = onnx_file.predict(here.folder / "models/edge.onnx", test), heads.Classification("macro_f1")
    return [head.score(test.y[rows], outputs[rows])["macro_f1"] for rows in (slice(None), pure)]


def fold(here: Repository, test: list[str], val: list[str]) -> list[list[float]]:
    """The scores of fp32 and of int8 of one fold."""
    people = {"preprocess__test_subjects": test, "preprocess__val_subjects": val}
    here.set(CONFIG, **people, preprocess__test=0.0, preprocess__val=0.0, preprocess__purity=0.0)
    found = []
    for quant in ("fp32", "int8"):
        here.set("params.yaml", quant=quant)
        here.run("dvc", "repro", "quantize")
        found.append(scores(here))
    print(f"test {test}, val {val}: (all, pure) of fp32 and int8 {np.round(found, 4).tolist()}", file=sys.stderr)
    return found


def main() -> None:
    if not SHORT and "EDGE_DATA_MIRROR" not in os.environ:
        row("smartphone_activity", "–", "skipped: EDGE_DATA_MIRROR names no folder with archives")
        return
    with clone() as here:
        here.set("params.yaml", task="activity_recognition")
        here.set(CONFIG, **SHRUNK if SHORT else {"collect__source": "smartphone_activity"})
        found = np.array([fold(here, *people) for people in folds()])  # [folds, quants, rules]
    for index, (windows, asked) in enumerate(ASKED.items()):
        fp32, int8 = found[:, :, index].T
        what = f"smartphone_activity, {windows}, mean of {len(found)} folds"
        row(f"{what}: macro-F1", asked, f"{fp32.mean():.1%} ({fp32.min():.1%} to {fp32.max():.1%})")
        row(f"{what}: int8 loses", "at most 1 point", f"{100 * (fp32.mean() - int8.mean()):.2f} points")


if __name__ == "__main__":
    main()
