"""The smallest task there can be: is the sum of four numbers positive? Fills the whole contract in seconds."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from edge.core.settings import Recipe, Section
from edge.data.shards import SPLITS, Spec

LABEL = "accuracy"
LABELS = ("negative", "positive")


class Collect(Section):
    source: Literal["dice"]
    rows: int


class Preprocess(Section):
    gain: float


class Train(Recipe):
    architecture: Literal["dense"]


def sources() -> dict:
    return {"dice": dice}


def dice(config: Collect, out: Path, seed: int) -> None:
    rows = np.random.default_rng(seed).integers(-1000, 1000, (config.rows, 4), dtype=np.int16)
    np.save(out / "rows.npy", rows)


def prepare(raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
    rows = np.load(raw / "rows.npy")
    for split, part in zip(SPLITS, np.array_split(rows, len(SPLITS)), strict=True):
        np.save(out / f"{split}.x.npy", part)
        np.save(out / f"{split}.y.npy", (part.sum(axis=1) > 0).astype(np.int64))
    pd.DataFrame(rows).to_csv(out / "manifest.csv", index=False)
    Spec("numbers", (4,), config.gain, LABELS, {}).save(out)
    return {"rows": len(rows)}


def build(config: Train, spec: Spec, seed: int):
    import keras

    numbers = keras.Input(spec.shape, name=spec.input)
    features = keras.layers.Rescaling(2.0, name="features")(numbers)
    hidden = keras.layers.Dense(8, activation="relu")(features)
    return keras.Model(numbers, keras.layers.Dense(len(LABELS))(hidden))


def augment(config: Train, spec: Spec, seed: int):
    return None


def score(labels: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    return {"accuracy": float((outputs.argmax(axis=1) == labels).mean())}


def figures(prepared: Path, out: Path) -> None:
    (out / "nothing.txt").write_text("four numbers have no picture\n")


def example(x: np.ndarray, spec: Spec, out: Path) -> None:
    (out / "numbers.txt").write_text(" ".join(map(str, x)) + "\n")
