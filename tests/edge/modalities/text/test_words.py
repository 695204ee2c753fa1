"""Text becomes word indices by rules that travel: the same here, from a spec and from a model file."""

import ast
import json
import sys

import numpy as np
import pytest

from edge.modalities.text import picture, words
from edge.modalities.text.words import Words
from tests.imports import ROOT, names

METADATA = {
    "text": {"pattern": words.WORD, "unique": False, "length": 6, "reserved": list(words.OURS)},
    "vocabulary": "the it's good café",
}


def changed(**rules) -> dict:
    return METADATA | {"text": METADATA["text"] | rules}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The GOOD, the (good)!", [2, 4, 2, 4, 0, 0]),
        ("It’s good", [3, 4, 0, 0, 0, 0]),
        ("'it's' 'good'", [3, 4, 0, 0, 0, 0]),
        ("cafe\u0301", [5, 0, 0, 0, 0, 0]),
        ("nobody knows", [1, 1, 0, 0, 0, 0]),
        ("the the the the good it's the", [2, 2, 2, 2, 4, 3]),
        ("", [0] * 6),
        ("?! …", [0] * 6),
    ],
)
def test_words_have_indices(text, expected):
    """Case, punctuation, curly apostrophes and ways to write an accent do not count; what is unknown is 1."""
    found = Words(METADATA)(text)
    assert found.tolist() == expected and found.dtype == np.int16


def test_each_word_once():
    """With `unique` a text is a set of words in the order of their first use, cut after that."""
    assert Words(changed(unique=True, length=2))("good good good the it's").tolist() == [4, 2]


def test_a_model_file_has_the_same_rules():
    """From the metadata of a model file, where what is no text is JSON, the indices are those of the spec."""
    entries = {"text": json.dumps(METADATA["text"]), "vocabulary": METADATA["vocabulary"]}
    assert Words(entries)("It's the Café").tolist() == Words(METADATA)("It's the Café").tolist() == [3, 2, 5, 0, 0, 0]


def test_reserved_indices_are_no_words():
    """Somebody who writes <unknown> or pad does not get a reserved index by its name, and has said no known word."""
    rules = Words(changed(pattern=r"\S+"))
    assert rules("<pad> <unknown> the").tolist() == [1, 1, 2, 0, 0, 0]
    assert rules.known(np.stack([rules("<unknown> what"), rules("the")])).tolist() == [False, True]


def test_an_example_is_shown_as_words(tmp_path):
    """What the model sees, for a person; the picture of it is the same bytes twice, whatever is in the text."""
    rules = Words(METADATA)
    assert rules.text(rules("The unheard café")) == "the <unknown> café"
    for name in ("a.png", "b.png"):
        picture.write("the <unknown> café costs $5 and $6 " * 40, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"text": "{", "vocabulary": "a"},
        {"text": "7", "vocabulary": "a"},
        METADATA | {"vocabulary": 7},
        changed(pattern="("),
        changed(reserved=["<pad>"]),
        METADATA | {"vocabulary": "a " * 40000},
    ],
)
def test_other_metadata_are_refused(metadata):
    """Metadata of another model, or damaged ones, raise one error that a caller can turn into a line."""
    with pytest.raises(ValueError, match="metadata of a text model|more than int16 has"):
        Words(metadata)


def test_the_function_can_travel():
    """What turns text into indices, and what answers, needs the standard library, numpy and each other."""
    for file in ("words", "answer"):
        tree = ast.parse((ROOT / f"edge/modalities/text/{file}.py").read_text())
        packages = {name.split(".")[0] for name in names(tree)} - sys.stdlib_module_names
        assert packages <= {"numpy", "edge"}
        assert {name for name in names(tree) if name.startswith("edge")} <= {
            "edge.modalities.text.words",
            "edge.modalities.text.words.Words",
        }
