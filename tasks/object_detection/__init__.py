"""Object detection: what is where in a picture."""

from pathlib import Path

import numpy as np

from edge import heads
from edge.data.shards import Spec
from edge.heads import detection
from tasks import Task
from tasks.object_detection.settings import Collect, Preprocess, Train


class ObjectDetection(Task):
    """What is where in a picture: uint8 pixels [height, width, 3] to boxes with a class and a score."""

    head = heads.Detection()
    Collect, Preprocess, Train = Collect, Preprocess, Train

    def sources(self) -> dict:
        """Sources by name: callables (config, folder, seed) that fill the folder."""
        from tasks.object_detection import collection

        return collection.SOURCES

    def prepare(self, raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
        """Write pictures and boxes as shards; faults are listed in rejected.csv. Returns the counts."""
        from tasks.object_detection import preparation

        return preparation.prepare(raw, out, config)

    def build(self, config: Train, spec: Spec, seed: int):
        """A Keras model: pixels 0…255, float32 [batch, height, width, 3] -> logits [batch, anchors, 4 + classes]."""
        from edge.models.networks import ssd

        arguments = spec.input, spec.metadata["levels"], len(spec.labels), config.width
        if config.architecture == "transfer":
            return ssd.transfer(*arguments, config.transfer)
        return ssd.cnn(*arguments)

    def augment(self, config: Train, spec: Spec, seed: int):
        """Crop, zoom, mirror and change the colours of pictures; boxes move with them."""
        from tasks.object_detection.augmentation import augmented

        return lambda x, y, seed: augmented(x, y, seed, config.augment)

    def example(self, row: np.ndarray, spec: Spec, out: Path) -> None:
        """One stored picture, uint8 [height, width, 3]."""
        from edge.modalities.vision import drawing

        drawing.boxes(row, [], []).save(out / "picture.png")

    def answer(self, row: np.ndarray, y: np.ndarray, output: np.ndarray | None, spec: Spec, out: Path) -> None:
        """The picture with its true boxes, thin and white, and those found with a score of 0.5, thick and named."""
        from edge.modalities.vision import drawing

        truth = [(*box, spec.labels[int(box[4])] if output is None else "") for box in y[y[:, 4] >= 0]]
        found = [] if output is None else detection.sure(output)
        named = [(*box[:4], box[5], f"{spec.labels[int(box[5])]} {box[4]:.2f}") for box in found]
        drawing.boxes(row, truth, named).save(out / "boxes.png")


TASK = ObjectDetection()
