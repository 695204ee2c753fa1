"""Sentiment: whether a review is positive or negative."""

from pathlib import Path

import numpy as np

from edge import heads
from edge.core.errors import UserError
from edge.data.shards import Spec
from tasks import Task
from tasks.sentiment.settings import Collect, Preprocess, Train


class Sentiment(Task):
    """Whether a review is positive or negative: int16 word indices [length] to labels."""

    head = heads.Classification()
    Collect, Preprocess, Train = Collect, Preprocess, Train

    def check(self, config) -> None:
        """Refuse `dense` on words that are there twice: a multi-hot vector has each word once."""
        if config.train.architecture == "dense" and not config.preprocess.unique:
            raise UserError("train.architecture = dense reads each word once: set preprocess.unique to true")

    def sources(self) -> dict:
        """Sources by name: callables (config, folder, seed) that fill the folder."""
        from tasks.sentiment.sources import SOURCES

        return SOURCES

    def prepare(self, raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
        """Write shards of int16 [n, length], spec.json and the report; returns the counts. Nothing in it is random."""
        from edge.modalities.text import lines, preparation

        files, ranked = lines.described(raw)
        labels = tuple(sorted({entry.label for entry in files}))
        return preparation.prepare(lambda: lines.texts(raw, files), out, config, labels, "reviews", ranked)

    def build(self, config: Train, spec: Spec, seed: int):
        """A Keras model: word indices, float32 [batch, length] -> logits [batch, labels]."""
        from edge.modalities.text import preparation
        from edge.models.networks import text

        return text.model(config, spec, preparation.start(spec.metadata))

    def augment(self, config: Train, spec: Spec, seed: int):
        """Callable (x, y, seed) on a batch inside tf.data; None without word dropout."""
        from edge.modalities.text.augment import word_dropout

        return word_dropout(config.word_dropout, spec.metadata)

    def layers(self) -> dict:
        """The cast to indices."""
        from edge.models.networks.text import Indices

        return {"edge>Indices": Indices}

    def example(self, row: np.ndarray, spec: Spec, out: Path) -> None:
        """Files that show one stored review to a person: the words that the model sees, as picture and as text."""
        from edge.modalities.text import picture

        picture.show(row, spec.metadata, out)


TASK = Sentiment()
