"""Intents: what a message asks for, or that nobody knows."""

import json
from pathlib import Path

import numpy as np

from edge import heads
from edge.core import files
from edge.core.errors import UserError
from edge.data.shards import Spec
from tasks import Decision, Task
from tasks.intents.settings import Collect, Preprocess, Train

SHIPPED = Path(__file__).with_name("home.json")
RAW = "intents.json"


def store(path: Path, config: Collect, out: Path) -> None:
    """Write the intents of a file, checked, with the line of each pattern."""
    from tasks.intents import patterns

    files.write_json(out / RAW, patterns.read(path, config.merge_tags))


def shipped(config: Collect, out: Path, seed: int) -> None:
    """The file that the project ships: what people say to a house, and what they say elsewhere."""
    store(SHIPPED, config, out)


def file(config: Collect, out: Path, seed: int) -> None:
    """One's own file of intents."""
    if config.file is None:
        raise UserError("collect.file is empty: name the file of intents of source file")
    store(Path(config.file), config, out)


class Intents(Task):
    """What a message asks for, or that nobody knows: int16 word indices [length] to labels."""

    head = heads.Classification()
    Collect, Preprocess, Train = Collect, Preprocess, Train

    def check(self, config) -> None:
        """Refuse `dense` on words that are there twice: a multi-hot vector has each word once."""
        if config.train.architecture == "dense" and not config.preprocess.unique:
            raise UserError("train.architecture = dense reads each word once: set preprocess.unique to true")

    def sources(self) -> dict:
        """Sources by name: callables (config, folder, seed) that fill the folder."""
        return {"shipped": shipped, "file": file}

    def prepare(self, raw: Path, out: Path, config: Preprocess, seed: int) -> dict:
        """Write shards of int16 [n, length], spec.json and the report; returns the counts. Nothing in it is random."""
        from edge.modalities.text import preparation
        from tasks.intents import patterns

        content = json.loads((raw / RAW).read_text(encoding="utf-8"))
        labels = tuple(sorted(content["intents"]))
        replies = {tag: intent["responses"] for tag, intent in content["intents"].items()}
        return preparation.prepare(
            lambda: patterns.texts(content, RAW, config),
            out,
            config,
            labels,
            "patterns",
            entries={"responses": replies},
        )

    def build(self, config: Train, spec: Spec, seed: int):
        """A Keras model: word indices, float32 [batch, length] -> logits [batch, labels]."""
        from edge.modalities.text import preparation
        from edge.models.networks import text

        return text.model(config, spec, preparation.start(spec.metadata))

    def augment(self, config: Train, spec: Spec, seed: int):
        """Callable (x, y, seed) on a batch inside tf.data; None without word dropout."""
        from edge.modalities.text.augment import word_dropout

        return word_dropout(config.word_dropout, spec.metadata)

    def decide(self, predict, prepared: Path, config: Train, spec: Spec, seed: int) -> Decision:
        """The threshold below which a message is refused, and its price on phrasings never seen in training.

        Empty where the data have no tag ``_unknown_``.
        """
        from tasks.intents import decision

        return decision.decide(predict, prepared, config.refuse, spec)

    def layers(self) -> dict:
        """The cast to indices."""
        from edge.models.networks.text import Indices

        return {"edge>Indices": Indices}

    def example(self, row: np.ndarray, spec: Spec, out: Path) -> None:
        """Files that show one stored pattern to a person: the words that the model sees, as picture and as text."""
        from edge.modalities.text import picture

        picture.show(row, spec.metadata, out)


TASK = Intents()
