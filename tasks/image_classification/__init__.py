"""Image classification: which digit, letter or thing a small picture shows."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from edge import heads
from edge.data.shards import SPLITS, Spec, Tensor
from edge.data.splits import check_labels, split_of
from tasks import Task
from tasks.image_classification.settings import Collect, Preprocess, Train

SHAPE = (8, 8, 1)


def digits(config: Collect, out: Path, seed: int) -> None:
    """The 1,797 handwritten digits that scikit-learn bundles: 8 x 8 pixels of 0 to 16 (Alpaydin, Kaynak, UCI)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    np.save(out / "pixels.npy", bunch.images.astype(np.uint8)[..., None])
    rows = {"id": range(len(bunch.target)), "label": bunch.target, "source": "digits"}
    rows["sha256"] = [hashlib.sha256(picture.astype(np.uint8).tobytes()).hexdigest() for picture in bunch.images]
    pd.DataFrame(rows).to_csv(out / "manifest.csv", index=False)


class ImageClassification(Task):
    """Which digit, letter or thing a small picture shows: uint8 pixels [height, width, channels] to labels."""

    head = heads.Classification()
    Collect, Preprocess, Train = Collect, Preprocess, Train

    def sources(self) -> dict:
        """Sources by name: callables (config, folder, seed) that fill the folder."""
        return {"digits": digits}

    def prepare(self, raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
        """Write uint8 shards [n, 8, 8, 1] and their manifest; duplicates are dropped. Returns the counts."""
        pixels = np.load(raw / "pixels.npy", mmap_mode="r", allow_pickle=False)
        manifest = pd.read_csv(raw / "manifest.csv", dtype={"label": str})
        unique = manifest.drop_duplicates("sha256")
        unique = unique.assign(split=[split_of(digest, digest, config) for digest in unique.sha256])
        labels = tuple(sorted(unique.label.unique()))
        check_labels(Counter(zip(unique.label, unique.split, strict=True)), labels, "pictures")
        for split in SPLITS:
            rows = unique[unique.split == split]
            np.save(out / f"{split}.x.npy", pixels[rows.index])
            np.save(out / f"{split}.y.npy", rows.label.map(labels.index).to_numpy(np.int64))
        unique.to_csv(out / "manifest.csv", index=False)
        ends = Tensor("pixels", SHAPE), Tensor("scores", (len(labels),))
        Spec(*ends, labels, {"pixel_range": [0, 16]}).save(out)
        counts = {split: int((unique.split == split).sum()) for split in SPLITS}
        return counts | {"duplicates": len(manifest) - len(unique)}

    def build(self, config: Train, spec: Spec, seed: int):
        """A Keras model: pixels 0…16, float32 [batch, 8, 8, 1] -> logits [batch, labels]."""
        import keras

        from edge.models.networks.classifiers import ARCHITECTURES

        pixels = keras.Input(spec.input.shape, name=spec.input.name)
        features = keras.layers.Rescaling(1 / 16, name="features")(pixels)
        logits = ARCHITECTURES[config.architecture](features, len(spec.labels), config.width)
        return keras.Model(pixels, logits)

    def example(self, row: np.ndarray, spec: Spec, out: Path) -> None:
        """Files that show one stored picture, uint8 [8, 8, 1], to a person: the picture, each pixel enlarged."""
        import matplotlib.image

        low, high = spec.metadata["pixel_range"]
        enlarged = np.kron(row[..., 0], np.ones((16, 16)))
        matplotlib.image.imsave(out / "picture.png", enlarged, cmap="gray_r", vmin=low, vmax=high)


TASK = ImageClassification()
