"""A detection in seconds: bright upright and flat rectangles on 16 x 16 dark pixels."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from edge import heads
from edge.core.settings import Recipe, Section
from edge.data.shards import SPLITS, Spec, Tensor
from tasks import Task

LABELS = ("flat", "upright")
SIZE, MOST = 16, 2
LEVELS = [{"rows": 8, "columns": 8, "sizes": [[4 / 16, 8 / 16], [8 / 16, 4 / 16]]}]


class Collect(Section):
    source: Literal["rectangles"]
    rows: int


class Preprocess(Section):
    pass


class Train(Recipe):
    architecture: Literal["cnn"]


def rectangles(config: Collect, out: Path, seed: int) -> None:
    """One or two rectangles a picture, in its upper and in its lower half: uint8 pixels, boxes in shares."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 40, (config.rows, SIZE, SIZE, 1), dtype=np.uint8)
    boxes = np.full((config.rows, MOST, 5), -1, np.float32)
    for row in range(config.rows):
        for half in range(random.integers(1, 3)):
            label = random.integers(2)
            height, width = ((3, 8), (7, 4))[label]
            y, x = half * 8 + random.integers(0, 9 - height), random.integers(0, SIZE - width + 1)
            pixels[row, y : y + height, x : x + width] += 180
            boxes[row, half] = [y / SIZE, x / SIZE, (y + height) / SIZE, (x + width) / SIZE, label]
    np.savez(out / "scenes.npz", pixels=pixels, boxes=boxes)


class Rectangles(Task):
    """uint8 pixels [16, 16, 1] to boxes of two classes."""

    head = heads.Detection()
    Collect, Preprocess, Train = Collect, Preprocess, Train

    def sources(self) -> dict:
        return {"rectangles": rectangles}

    def prepare(self, raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
        scenes = np.load(raw / "scenes.npz", allow_pickle=False)
        count = len(scenes["pixels"])
        for split, rows in zip(SPLITS, np.split(np.arange(count), [count // 2, count * 3 // 4, -20]), strict=True):
            np.save(out / f"{split}.x.npy", scenes["pixels"][rows])
            np.save(out / f"{split}.y.npy", scenes["boxes"][rows])
        pd.DataFrame({"id": range(count)}).to_csv(out / "manifest.csv", index=False)
        ends = Tensor("pixels", (SIZE, SIZE, 1)), Tensor("scores", (100, 6))
        Spec(*ends, LABELS, {"levels": LEVELS}).save(out)
        return {"rows": count}

    def build(self, config: Train, spec: Spec, seed: int):
        import keras
        from keras import layers

        pixels = keras.Input(spec.input.shape, name=spec.input.name)
        x = layers.Rescaling(1 / 255, name="features")(pixels)
        for stride in (2, 1, 1):
            x = layers.Conv2D(16, 5, strides=stride, padding="same", activation="relu")(x)
        x = layers.Conv2D(2 * (4 + len(LABELS)), 1)(x)
        return keras.Model(pixels, layers.Reshape((-1, 4 + len(LABELS)), name="logits")(x))


TASK = Rectangles()
