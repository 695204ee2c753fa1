"""A regression in seconds: the next two values of a noisy sine from the last eight."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from edge import heads
from edge.core.settings import Recipe, Section
from edge.data.shards import SPLITS, Spec, Tensor
from tasks import Task

PAST, NEXT = 8, 2


class Collect(Section):
    source: Literal["sine"]
    rows: int


class Preprocess(Section):
    scale: float


class Train(Recipe):
    architecture: Literal["dense"]


def sine(config: Collect, out: Path, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.05, config.rows)
    np.save(out / "series.npy", 5 + np.sin(np.arange(config.rows) / 2) + noise)


class Sine(Task):
    """Eight values to the next two."""

    head = heads.Regression()
    Collect, Preprocess, Train = Collect, Preprocess, Train

    def sources(self) -> dict:
        return {"sine": sine}

    def prepare(self, raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
        parts = np.array_split(np.load(raw / "series.npy"), len(SPLITS))
        for split, part in zip(SPLITS, parts, strict=True):
            stored = np.round(part / config.scale).astype(np.int16)
            windows = np.lib.stride_tricks.sliding_window_view(stored, PAST + NEXT)
            np.save(out / f"{split}.x.npy", windows[:, :PAST])
            np.save(out / f"{split}.y.npy", (windows[:, PAST - 1 :] * config.scale).astype(np.float32))
        pd.DataFrame({"id": range(sum(map(len, parts)))}).to_csv(out / "manifest.csv", index=False)
        known = {"target_mean": float(parts[0].mean()), "target_std": float(parts[0].std())}
        Spec(Tensor("values", (PAST,), scale=config.scale), Tensor("scores", (NEXT,)), (), known).save(out)
        return {"rows": sum(map(len, parts))}

    def build(self, config: Train, spec: Spec, seed: int):
        import keras

        mean, std = spec.metadata["target_mean"], spec.metadata["target_std"]
        values = keras.Input(spec.input.shape, name=spec.input.name)
        features = keras.layers.Rescaling(1 / std, -mean / std, name="features")(values)
        hidden = keras.layers.Dense(16, activation="relu")(features)
        return keras.Model(values, keras.layers.Dense(NEXT, name="logits")(hidden))


TASK = Sine()
