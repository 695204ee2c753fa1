"""Prints mean absolute errors of forecasts against the naive ones, of fp32 and int8: generated seasons, real walking.

Walking needs the archive in the folder that EDGE_DATA_MIRROR names. The short form forecasts the seasons only.
"""

import io
import os
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.clone import SHORT, Repository, clone, row

CONFIG = "configs/forecasting.yaml"
WIDTHS = {"dense": 25, "lstm": 50, "gru": 50}
AXES = ["x_acc", "y_acc", "z_acc"]
WALKING = {  # the acceleration of walking people, who follow each other: those who are tested are never trained on
    "collect__source": "csv",
    "collect__csv__path": "data/recordings/walking.csv",
    "collect__csv__seconds": 0.001,
    "collect__csv__column": "length",
    "preprocess__step": 0.04,
    "preprocess__max_gap": 10.0,
    "preprocess__period": None,
    "train__batch": 64,
}


def walking(path: Path) -> None:
    """Write the rows from the first to the last step of people who walk and turn, ten seconds between recordings."""
    from edge.data import archive, fetch
    from edge.modalities.series.collection import PHONE, PHONE_NAME

    packed, parts, end = fetch.fetch(*PHONE[:2], fetch.cache() / PHONE[2]), [], 0
    with archive.members(packed, PHONE_NAME.search) as members:
        for name in members.names:
            table = pd.read_csv(io.BytesIO(members.read(name)))
            steps = np.flatnonzero(table.label == "WALKING")
            table = table.iloc[steps[0] : steps[-1] + 1]
            length = np.linalg.norm(table[AXES], axis=1)  # whichever way the phone lies
            parts.append(pd.DataFrame({"time": table.timestamp - table.timestamp.min() + end, "length": length}))
            end = parts[-1].time.max() + 10000
    pd.concat(parts).to_csv(path, index=False)


def errors(here: Repository) -> tuple[dict, float]:
    """The errors on the test split of fp32 and of int8 and of the naive forecasts, and int8's size against fp32."""
    found = {}
    for quant in ("fp32", "int8"):
        here.set("params.yaml", quant=quant)
        here.run("dvc", "repro", "quantize")
        found[quant] = here.metrics("quantize")["scores"]["mae"]
    return found | here.metrics("data")["test_mae"], here.metrics("quantize")["bytes_against_fp32"]


def main() -> None:
    with clone() as here:
        here.set("params.yaml", task="forecasting")
        for name, width in WIDTHS.items():
            short = {"train__epochs": 1} if SHORT else {}
            here.set(CONFIG, train__architecture=name, train__width=width, **short)
            found, size = errors(here)
            better = min(found["naive"], found["seasonal_naive"])
            what = f"forecasting, generated seasons, {name} {width}: MAE against the better of naive and seasonal naive"
            row(what, "at most 0.5", f"fp32 {found['fp32'] / better:.2f}, int8 {found['int8'] / better:.2f}")
            row(f"forecasting, {name} {width}: size of int8 against fp32", "–", f"{size:.2f}")
            if SHORT:
                return
        if "EDGE_DATA_MIRROR" not in os.environ:
            row("forecasting, walking", "at most 0.65", "skipped: EDGE_DATA_MIRROR names no folder with archives")
            return
        walking(here.folder / "data/recordings/walking.csv")
        here.set(CONFIG, **WALKING, train__architecture="dense", train__width=25)
        found, _ = errors(here)
        shares = f"fp32 {found['fp32'] / found['naive']:.2f}, int8 {found['int8'] / found['naive']:.2f}"
        row("forecasting, acceleration of people who walk, 25 Hz, dense 25: MAE against naive", "at most 0.65", shares)


if __name__ == "__main__":
    main()
