"""Prints macro-F1 on people never seen in training, of fp32 and int8: seven folds of two of fourteen people.

Each fold is trained twice: on windows of which at least 60 % of the middle second has one label, and on all windows.
Needs the archive in the folder that EDGE_DATA_MIRROR names. The short form takes one fold of generated motion.
"""

import os
import sys

import numpy as np

from benchmarks.clone import SHORT, Repository, clone, row

CONFIG = "configs/activity_recognition.yaml"
PEOPLE = [f"s{number:02}" for number in range(1, 15)]
ASKED = {0.6: "at least 93 %", 0.0: "at least 89 %"}  # by preprocess.purity
SHRUNK = {"collect__source": "generated", "collect__generated__subjects": 6, "train__epochs": 1}


def folds() -> list[tuple[list[str], list[str]]]:
    """(test, val) of each fold: persons n and n + 7 are tested, those of the next fold are for validation."""
    if SHORT:
        return [(["p00", "p01"], ["p02"])]
    pairs = [[PEOPLE[fold], PEOPLE[fold + 7]] for fold in range(7)]
    return [(pairs[fold], pairs[(fold + 1) % 7]) for fold in range(7)]


def fold(here: Repository, purity: float, test: list[str], val: list[str]) -> tuple[float, float]:
    """Macro-F1 of fp32 and int8 of one fold."""
    people = {"preprocess__test_subjects": test, "preprocess__val_subjects": val}
    shares = {"preprocess__test": 0.0, "preprocess__val": 0.0, "preprocess__purity": purity}
    here.set(CONFIG, **people | shares)
    scores = []
    for quant in ("fp32", "int8"):
        here.set("params.yaml", quant=quant)
        here.run("dvc", "repro", "quantize")
        scores.append(here.metrics("quantize")["scores"]["macro_f1"])
    print(f"test {test}, val {val}, purity {purity}: fp32 {scores[0]:.4f}, int8 {scores[1]:.4f}", file=sys.stderr)
    return scores[0], scores[1]


def main() -> None:
    if not SHORT and "EDGE_DATA_MIRROR" not in os.environ:
        row("smartphone_activity", ASKED[0.6], "skipped: EDGE_DATA_MIRROR names no folder with archives")
        return
    with clone() as here:
        here.set("params.yaml", task="activity_recognition")
        here.set(CONFIG, **SHRUNK if SHORT else {"collect__source": "smartphone_activity"})
        for purity, asked in ASKED.items():
            scores = np.array([fold(here, purity, *people) for people in folds()])
            fp32, int8 = scores.mean(axis=0)
            what = f"smartphone_activity, windows of purity {purity:.0%} and more, mean of {len(scores)} folds"
            spread = f"{fp32:.1%} ({scores[:, 0].min():.1%} to {scores[:, 0].max():.1%})"
            row(f"{what}, macro-F1 fp32", asked, spread)
            row(f"{what}, int8 loses", "at most 1 point", f"{100 * (fp32 - int8):.2f} points")


if __name__ == "__main__":
    main()
