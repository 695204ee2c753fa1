"""Prints accuracy on people never heard in training, of fp32 and int8, for two public data sets.

Needs the archives in the folder that EDGE_DATA_MIRROR names. The short form takes synthetic speech in their place.
"""

import itertools
import os

from benchmarks.clone import SHORT, Clone, clone, row

CONFIG = "configs/keyword_spotting.yaml"
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
# The default of the config is chosen for synthetic speech with many other words; these were chosen for real speech.
RECIPE = {"train__batch": 64, "train__augment__mask_frames": 0.2, "train__augment__mask_bins": 0.2}
FSDD = RECIPE | {  # six speakers: two are the test, validation takes clips of the other four
    "collect__source": "fsdd",
    "collect__words": DIGITS,
    "collect__unknown": 0,
    "collect__silence": 0,
    "preprocess__rate": 8000,
    "preprocess__split__val": 0.05,
    "preprocess__split__val_by": "clip",
    "preprocess__split__test": 0.0,
    "preprocess__test_speakers": ["theo", "lucas"],
    "train__epochs": 200,
    "train__patience": 200,
}
SPEECH_COMMANDS = RECIPE | {
    "collect__source": "speech_commands",
    "collect__unknown": 500,
    "collect__speech_commands": "mini",
    "preprocess__split__val": 0.05,
    "preprocess__split__val_by": "clip",
    "train__epochs": 60,
    "train__patience": 60,
}
SHRUNK = {
    "collect__source": "synthetic",
    "collect__words": ["yes", "stop"],
    "collect__unknown": 0,
    "collect__silence": 0,
    "collect__synthetic__per_word": 60,
    "preprocess__split__test": 0.1,
    "preprocess__test_speakers": [],
    "train__epochs": 1,
}
SETS = {
    "FSDD, speakers theo and lucas": (FSDD, "at least 96 %"),
    "Speech Commands mini, 12 classes, other speakers": (SPEECH_COMMANDS, "at least 90 %"),
}


def train(here: Clone, settings: dict) -> float:
    """Run the pipeline with ``settings`` up to the training; returns the minutes that it took."""
    here.set("params.yaml", task="keyword_spotting")
    here.set(CONFIG, **settings | (SHRUNK if SHORT else {}))
    here.run("dvc", "repro", "preprocess")
    return here.run("dvc", "repro", "train") / 60


def missing() -> str:
    """Why the archives cannot be read here; empty where they can, and where none is needed."""
    return (
        "" if SHORT or "EDGE_DATA_MIRROR" in os.environ else "skipped: EDGE_DATA_MIRROR names no folder with archives"
    )


def main() -> None:
    for name, (settings, asked) in itertools.islice(SETS.items(), 1 if SHORT else None):
        if reason := missing():
            row(f"{name}, fp32", asked, reason)
            continue
        with clone() as here:
            minutes = train(here, settings)
            here.run("dvc", "repro", "quantize")
            clips, fp32 = here.metrics("data")["test"], here.accuracy("quantize")
            row(f"{name} ({clips} clips), fp32", asked, f"{fp32:.1%}")
            row(f"{name}, time of training", "under 15 min", f"{minutes:.1f} min")
            here.set("params.yaml", quant="int8")
            here.run("dvc", "repro", "quantize")
            drop = 100 * (fp32 - here.accuracy("quantize"))
            row(f"{name}, int8 loses", "at most 0.5 points", f"{drop:.2f} points")


if __name__ == "__main__":
    main()
