"""Prints what text models are worth on reviews and phrasings never seen in training, the mean over folds by a hash.

Reviews need rt_polarity in the folder that EDGE_DATA_MIRROR names. The short form takes generated reviews in its place.
"""

import os
from statistics import mean

from benchmarks.clone import SHORT, Clone, clone, row

REVIEWS = {"collect__source": "rt_polarity", "preprocess__test": 0.1}
FOLDS = {"sentiment": 2 if SHORT else 10, "intents": 1 if SHORT else 5}
SHRUNK = {
    "sentiment": {"collect__source": "generated", "collect__generated": 600, "train__epochs": 1},
    "intents": {"train__epochs": 1, "preprocess__variants": 1},
}


def folds(here: Clone, task: str, settings: dict) -> dict[str, list]:
    """The accuracy of fp32 and of int8 and the metrics of training of each fold, by these names."""
    config, found = f"configs/{task}.yaml", {"fp32": [], "int8": [], "train": []}
    here.set("params.yaml", task=task)
    here.set(config, **settings | (SHRUNK[task] if SHORT else {}))
    for fold in range(FOLDS[task]):
        here.set(config, preprocess__fold=fold)
        for quant in ("fp32", "int8"):
            here.set("params.yaml", quant=quant)
            here.run("dvc", "repro", "quantize")
            found[quant].append(here.accuracy("quantize"))
        found["train"].append(here.metrics("train"))
    return found


def spread(values: list[float]) -> str:
    """The mean and the range of the folds."""
    return f"{mean(values):.1%} ({min(values):.1%} to {max(values):.1%})"


def reviews(here: Clone) -> None:
    """Rows of sentiment."""
    if not SHORT and "EDGE_DATA_MIRROR" not in os.environ:
        reason = "skipped: EDGE_DATA_MIRROR names no folder with archives"
        row("film reviews (rt_polarity), words", "at least 76.5 %", reason)
        return
    found = folds(here, "sentiment", REVIEWS)
    what = f"film reviews (rt_polarity), words, mean of {len(found['fp32'])} folds"
    row(f"{what}, fp32", "at least 76.5 %", spread(found["fp32"]))
    row(f"{what}, int8", "within 1 point of fp32", spread(found["int8"]))


def messages(here: Clone) -> None:
    """Rows of intents."""
    found = folds(here, "intents", {})
    trained = found["train"]
    what = f"intents, dense, mean of {len(trained)} folds"
    drop = 100 * (mean(found["fp32"]) - mean(found["int8"]))
    if all("held_out_accuracy" in metrics for metrics in trained):
        for name, said in (
            ("held_out_accuracy", "held-out phrasings right"),
            ("held_out_answered_right", "held-out phrasings right and above the threshold"),
            ("foreign_refused", "foreign questions refused"),
        ):
            row(f"{what}, {said}", "at least 80 %", spread([metrics[name] for metrics in trained]))
    row(f"{what}, int8 loses", "at most 1 point", f"{drop:.2f} points")


def main() -> None:
    with clone() as here:
        messages(here)
        reviews(here)


if __name__ == "__main__":
    main()
