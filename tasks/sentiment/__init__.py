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
        import keras

        from edge.modalities.text import preparation
        from edge.modalities.text.words import Words
        from edge.models.networks import text

        indices = keras.Input(spec.input.shape, name=spec.input.name)
        features, words = text.Indices(name="features")(indices), Words(spec.metadata)
        sizes = (len(spec.labels), len(words.names))
        if config.architecture == "words":
            return keras.Model(indices, text.words(features, *sizes, preparation.start(spec.metadata, words)))
        network = text.ARCHITECTURES[config.architecture]
        return keras.Model(indices, network(features, *sizes, config.width, config.dropout))

    def augment(self, config: Train, spec: Spec, seed: int):
        """Callable (x, y, seed) on a batch inside tf.data; None without word dropout."""
        from edge.modalities.text.augment import word_dropout
        from edge.modalities.text.words import Words

        return word_dropout(config.word_dropout, Words(spec.metadata))

    def layers(self) -> dict:
        """The cast to indices."""
        from edge.models.networks.text import Indices

        return {"edge>Indices": Indices}

    def example(self, row: np.ndarray, spec: Spec, out: Path) -> None:
        """Files that show one stored review to a person: its words, as the model sees them, in a picture and as text."""
        from edge.modalities.text import picture
        from edge.modalities.text.words import Words

        text = Words(spec.metadata).text(row)
        (out / "words.txt").write_text(f"{text}\n", encoding="utf-8")
        picture.write(text, out / "words.png")


TASK = Sentiment()
