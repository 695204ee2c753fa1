"""Image classification: which digit, letter or thing a small picture shows."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from edge.core.errors import UserError
from edge.data import shards
from edge.data.shards import SPLITS, Spec
from tasks.image_classification.settings import Collect, Preprocess, Train

LABEL = "accuracy"
SHAPE = (8, 8, 1)


def sources() -> dict:
    """Sources by name: callables (config, folder, seed) that fill the folder."""
    return {"digits": digits}


def digits(config: Collect, out: Path, seed: int) -> None:
    """The 1,797 handwritten digits that scikit-learn bundles: 8 x 8 pixels of 0 to 16 (Alpaydin, Kaynak, UCI)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    np.save(out / "pixels.npy", bunch.images.astype(np.uint8)[..., None])
    rows = {"id": range(len(bunch.target)), "label": bunch.target, "source": "digits"}
    rows["sha256"] = [hashlib.sha256(picture.astype(np.uint8).tobytes()).hexdigest() for picture in bunch.images]
    pd.DataFrame(rows).to_csv(out / "manifest.csv", index=False)


def split_of(digest: str, config: Preprocess) -> str:
    """The split of a picture, by a hash of its content."""
    place = shards.share(digest, "split")
    if place < config.test:
        return "test"
    if place < config.test + config.val:
        return "val"
    return "calibration" if shards.share(digest, "calibration") < config.calibration else "train"


def prepare(raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
    """Write uint8 shards [n, 8, 8, 1] and their manifest; duplicates are dropped. Returns the counts."""
    pixels = np.load(raw / "pixels.npy", mmap_mode="r", allow_pickle=False)
    manifest = pd.read_csv(raw / "manifest.csv", dtype={"label": str})
    unique = manifest.drop_duplicates("sha256")
    unique = unique.assign(split=[split_of(digest, config) for digest in unique.sha256])
    labels = tuple(sorted(unique.label.unique()))
    for split in SPLITS:
        rows = unique[unique.split == split]
        absent = set(labels) - set(rows.label)
        if absent:
            raise UserError(f"split {split} has no picture of {min(absent)}: collect more, or raise preprocess.{split}")
        np.save(out / f"{split}.x.npy", pixels[rows.index])
        np.save(out / f"{split}.y.npy", rows.label.map(labels.index).to_numpy(np.int64))
    unique.to_csv(out / "manifest.csv", index=False)
    Spec("pixels", SHAPE, 1.0, labels, {"pixel_range": [0, 16]}).save(out)
    return {split: int((unique.split == split).sum()) for split in SPLITS} | {"duplicates": len(manifest) - len(unique)}


def build(config: Train, spec: Spec, seed: int):
    """A Keras model: pixels 0…16, float32 [batch, 8, 8, 1] -> logits [batch, labels]."""
    import keras

    from edge.models.networks.classifiers import ARCHITECTURES

    pixels = keras.Input(spec.shape, name=spec.input)
    features = keras.layers.Rescaling(1 / 16, name="features")(pixels)
    logits = ARCHITECTURES[config.architecture](features, len(spec.labels), config.width)
    return keras.Model(pixels, logits)


def augment(config: Train, spec: Spec, seed: int) -> None:
    """None: the digits are centred already."""


def score(labels: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
    """Top-1 accuracy and macro-F1 of scores [n, labels] against label indices [n]."""
    from edge.heads.scores import classification

    return classification(labels, outputs)


def figures(prepared: Path, out: Path) -> None:
    """One picture a class: the first training example."""
    import matplotlib.image

    split, spec = shards.load(prepared, "train"), shards.load_spec(prepared)
    for index, label in enumerate(spec.labels):
        first = split.x[int(np.argmax(split.y == index)), ..., 0]
        matplotlib.image.imsave(out / f"{label}.png", np.kron(first, np.ones((16, 16))), cmap="gray_r")


def example(x: np.ndarray, spec: Spec, out: Path) -> None:
    """Files that show one stored picture, uint8 [8, 8, 1], to a person: the picture, each pixel enlarged."""
    import matplotlib.image

    low, high = spec.metadata["pixel_range"]
    enlarged = np.kron(x[..., 0], np.ones((16, 16)))
    matplotlib.image.imsave(out / "picture.png", enlarged, cmap="gray_r", vmin=low, vmax=high)
