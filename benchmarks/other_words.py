"""Prints how the keyword spotter of the default settings tells its words from others, clip by clip and in a stream."""

import pandas as pd

from benchmarks.clone import SHORT, Clone, clone, row

CONFIG = "configs/keyword_spotting.yaml"
SHRUNK = {
    "collect__words": ["yes", "stop"],
    "collect__unknown": 60,
    "collect__silence": 20,
    "collect__synthetic__per_word": 60,
    "train__epochs": 1,
    "train__stream__minutes": 1,
}


def recall(here: Clone) -> tuple[float, float]:
    """Shares of the test clips of other words, and of keywords, that get their label from the Keras model."""
    table = pd.read_csv(here.folder / "plots/confusion.csv", keep_default_na=False)
    right = table.actual == table.predicted
    unknown, silence = (table.actual == label for label in ("_unknown_", "_silence_"))
    return right[unknown].mean(), right[~unknown & ~silence].mean()


def main() -> None:
    with clone() as here:
        here.set("params.yaml", task="keyword_spotting")
        if SHORT:
            here.set(CONFIG, **SHRUNK)
        here.run("dvc", "repro")
        unknown, keyword = recall(here)
        train = here.metrics("train")
    accepts, misses = "no threshold", "no threshold"
    if "miss_rate" in train:
        accepts, misses = f"{train['false_accepts_per_hour']:.1f}", f"{train['miss_rate']:.1%}"
    row("default keyword spotter, test clips of other words that get _unknown_", "at least 85 %", f"{unknown:.1%}")
    row("default keyword spotter, test clips of keywords that get their label", "none", f"{keyword:.1%}")
    row("default keyword spotter, false accepts an hour of the test split", "10 on validation", accepts)
    row("default keyword spotter, keywords missed at that threshold", "none", misses)


if __name__ == "__main__":
    main()
