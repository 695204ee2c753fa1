"""From a message to an intent and its replies: what is not known is said to be so."""

import json

import numpy as np
import pytest

from edge.modalities.text import words
from edge.modalities.text.answer import answer

ENTRIES = {
    "text": json.dumps({"pattern": words.WORD, "unique": True, "length": 4, "reserved": words.OURS}),
    "vocabulary": "light on hello",
    "labels": json.dumps(["_unknown_", "greeting", "light"]),
    "responses": json.dumps({"_unknown_": ["I don't know."], "greeting": ["Hello.", "Hi."], "light": ["It is on."]}),
    "threshold": "0.6",
}


def scores(*row: float):
    """A model that answers ``row`` whatever it is asked."""

    def predict(inputs: np.ndarray) -> np.ndarray:
        assert inputs.dtype == np.float32 and inputs.shape == (1, 4)
        return np.array([row], np.float32)

    return predict


def unasked(inputs: np.ndarray):
    pytest.fail("a message without a known word is put to the model")


@pytest.mark.parametrize(
    ("message", "predict", "expected"),
    [
        ("Light on!", scores(0.1, 0.1, 0.8), ("light", ["It is on."])),
        ("hello", scores(0.1, 0.8, 0.1), ("greeting", ["Hello.", "Hi."])),
        ("light hello", scores(0.05, 0.45, 0.5), ("_unknown_", ["I don't know."])),
        ("hello there", scores(0.9, 0.05, 0.05), ("_unknown_", ["I don't know."])),
        ("qwertz asdf", unasked, ("_unknown_", ["I don't know."])),
        ("", unasked, ("_unknown_", ["I don't know."])),
    ],
)
def test_an_answer_counts_above_the_threshold(message, predict, expected):
    """Sure: the label and its replies. Not sure, foreign, or no word known: the reply of who does not know."""
    assert answer(message, predict, ENTRIES) == expected


def test_a_file_without_replies_has_labels():
    """Without threshold and replies the largest score decides, and there is nothing to say."""
    entries = {key: value for key, value in ENTRIES.items() if key not in ("threshold", "responses")}
    assert answer("light", scores(0.3, 0.3, 0.4), entries) == ("light", [])
