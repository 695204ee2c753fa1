"""The smallest task there can be: is the sum of four numbers positive? Fills the whole contract in seconds."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from edge import heads
from edge.core.settings import Recipe, Section
from edge.data.shards import SPLITS, Spec, Tensor
from tasks import Task

LABELS = ("negative", "positive")


class Collect(Section):
    source: Literal["dice"]
    rows: int


class Preprocess(Section):
    gain: float


class Train(Recipe):
    architecture: Literal["dense"]
    label_smoothing: float


def dice(config: Collect, out: Path, seed: int) -> None:
    rows = np.random.default_rng(seed).integers(-1000, 1000, (config.rows, 4), dtype=np.int16)
    np.save(out / "rows.npy", rows)


class Sign(Task):
    """Four integers to the sign of their sum."""

    head = heads.Classification()
    Collect, Preprocess, Train = Collect, Preprocess, Train

    def sources(self) -> dict:
        return {"dice": dice}

    def prepare(self, raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
        rows = np.load(raw / "rows.npy")
        for split, part in zip(SPLITS, np.array_split(rows, len(SPLITS)), strict=True):
            np.save(out / f"{split}.x.npy", part)
            np.save(out / f"{split}.y.npy", (part.sum(axis=1) > 0).astype(np.int64))
        pd.DataFrame(rows).to_csv(out / "manifest.csv", index=False)
        Spec(Tensor("numbers", (4,), scale=config.gain), Tensor("scores", (2,)), LABELS, {}).save(out)
        return {"rows": len(rows)}

    def build(self, config: Train, spec: Spec, seed: int):
        import keras

        numbers = keras.Input(spec.input.shape, name=spec.input.name)
        features = keras.layers.Rescaling(2.0, name="features")(numbers)
        hidden = keras.layers.Dense(8, activation="relu")(features)
        return keras.Model(numbers, keras.layers.Dense(len(LABELS), name="logits")(hidden))


TASK = Sign()
