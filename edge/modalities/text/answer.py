"""From a message to an intent and its replies, by the metadata of a model file. Standard library and numpy only."""

import json
from collections.abc import Callable

import numpy as np

from edge.modalities.text.words import Words

UNKNOWN = "_unknown_"


def answer(message: str, predict: Callable, entries: dict[str, str]) -> tuple[str, list[str]]:
    """(label, replies) of a ``message``; the label is ``_unknown_`` where the model does not know.

    ``entries`` are the metadata of the model file, ``predict`` turns model inputs, float32 [1, length], into scores
    [1, labels]. A message without a word that the model knows is not put to the model.
    """
    words, labels = Words(entries), json.loads(entries["labels"])
    replies = json.loads(entries.get("responses", "{}"))
    indices, label = words(message), UNKNOWN
    if words.known(indices):
        scores = predict(indices[None].astype(np.float32))[0]
        if scores.max() >= float(entries.get("threshold", 0)):
            label = labels[int(scores.argmax())]
    return label, replies.get(label, [])
