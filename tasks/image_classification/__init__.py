"""Image classification: which digit, letter or thing a picture shows."""

from pathlib import Path

import numpy as np

from edge import heads
from edge.core.errors import UserError
from edge.data.shards import Spec
from tasks import Task
from tasks.image_classification.settings import Collect, Preprocess, Train

SHOWN = 128  # pixels; a smaller picture is shown with its pixels enlarged


class ImageClassification(Task):
    """Which digit, letter or thing a picture shows: uint8 pixels [height, width, channels] to labels."""

    head = heads.Classification()
    Collect, Preprocess, Train = Collect, Preprocess, Train

    def sources(self) -> dict:
        """Sources by name: callables (config, folder, seed) that fill the folder."""
        from edge.modalities.vision import collection

        return collection.SOURCES

    def prepare(self, raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
        """Write uint8 shards [n, height, width, channels] and the reports; returns the counts. Nothing is random."""
        from edge.modalities.vision import preparation

        return preparation.prepare(raw, out, config)

    def build(self, config: Train, spec: Spec, seed: int):
        """A Keras model: pixels 0…255, float32 [batch, height, width, channels] -> logits [batch, labels]."""
        import keras

        from edge.models.networks import pretrained
        from edge.models.networks.classifiers import ARCHITECTURES

        pixels = keras.Input(spec.input.shape, name=spec.input.name)
        if config.architecture == "transfer":
            return pretrained.build(pixels, len(spec.labels), config.transfer, config.dropout)
        features = keras.layers.Rescaling(1 / 127.5, -1, name="features")(pixels)
        logits = ARCHITECTURES[config.architecture](features, len(spec.labels), config.width, dropout=config.dropout)
        return keras.Model(pixels, logits)

    def fine_tune(self, model, config: Train) -> Train | None:
        """After the last layer of a transfer is trained, all of it is, at a small rate."""
        transfer = config.transfer
        if config.architecture != "transfer" or not transfer.fine_tune_epochs:
            return None
        from edge.models.networks import pretrained

        pretrained.thaw(model)
        return config.model_copy(update={"epochs": transfer.fine_tune_epochs, "learning_rate": transfer.fine_tune_rate})

    def augment(self, config: Train, spec: Spec, seed: int):
        """Callable (x, y, seed) on a batch inside tf.data."""
        from edge.modalities.vision.augment import Pictures

        return Pictures(config.augment)

    def read_example(self, path: Path, spec: Spec, config: Preprocess) -> np.ndarray:
        """A picture, uint8 [height, width, channels], as ``prepare`` makes it; UserError where it is none."""
        from edge.modalities.vision import pictures, preparation

        found = preparation.example(path.read_bytes(), spec.input.shape, config.keep_aspect)
        if isinstance(found, pictures.Unreadable):
            raise UserError(f"{path}: {found}")
        return found[0]

    def example(self, row: np.ndarray, spec: Spec, out: Path) -> None:
        """Files that show one stored picture, uint8 [height, width, channels], to a person."""
        from PIL import Image

        enlarged = row.repeat(times := -(-SHOWN // max(row.shape[:2])), axis=0).repeat(times, axis=1)
        Image.fromarray(enlarged if row.shape[2] == 3 else enlarged[..., 0]).save(out / "picture.png")


TASK = ImageClassification()
