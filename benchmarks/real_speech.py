"""Prints accuracy on people never heard in training, of fp32 and int8, for two public data sets.

Needs the archives: in the folder that EDGE_DATA_MIRROR names, or (FSDD) from the network.
"""

from benchmarks.clone import Clone, clone, row

CONFIG = "configs/keyword_spotting.yaml"
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
FSDD = {  # six speakers: two are the test, validation takes clips of the other four
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
SPEECH_COMMANDS = {
    "collect__source": "speech_commands",
    "collect__speech_commands": "mini",
    "preprocess__split__val": 0.05,
    "preprocess__split__val_by": "clip",
    "train__epochs": 60,
    "train__patience": 60,
}
SETS = {
    "FSDD, speakers theo and lucas": (FSDD, "at least 96 %"),
    "Speech Commands mini, 12 classes, other speakers": (SPEECH_COMMANDS, "at least 90 %"),
}


def train(here: Clone, settings: dict) -> float:
    """Run the pipeline with ``settings``; returns the minutes that training took."""
    here.set(CONFIG, **settings)
    here.run("dvc", "repro", "preprocess")
    minutes = here.run("dvc", "repro", "train") / 60
    here.run("dvc", "repro")
    return minutes


def main() -> None:
    for name, (settings, asked) in SETS.items():
        with clone() as here:
            minutes = train(here, settings)
            clips = here.metrics("data")["test"]
            row(f"{name} ({clips} clips), fp32", asked, f"{here.metrics('quantize')['accuracy']:.1%}")
            row(f"{name}, time of training", "under 15 min", f"{minutes:.1f} min")
            here.set("params.yaml", quant="int8")
            here.run("dvc", "repro")
            drop = 100 * here.metrics("quantize")["accuracy_drop"]
            row(f"{name}, int8 loses", "at most 0.5 points", f"{drop:.2f} points")


if __name__ == "__main__":
    main()
