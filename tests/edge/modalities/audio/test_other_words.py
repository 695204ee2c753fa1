"""Other words: as many as asked for, the same for the same seed, and none that sounds like a keyword."""

from collections import Counter

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.modalities.audio import other_words

KEYWORDS = ["yes", "no", "right", "turn on the light"]


def choose(count=400, seed=1, keywords=KEYWORDS, words=other_words.WORDS):
    return other_words.choose(keywords, count, words, np.random.default_rng(seed))


def test_words_are_distinct():
    """The list of common words is long and has none twice."""
    assert len(set(other_words.WORDS)) == len(other_words.WORDS) > 900


def test_same_seed_same_texts():
    """The same seed gives the same texts, another seed others."""
    assert choose() == choose() != choose(seed=2)


def test_no_text_sounds_like_a_keyword():
    """A word with a keyword's sound is left out however it is spelled; only pieces are made of keywords themselves."""
    keys = {other_words.phonemes(keyword) for keyword in KEYWORDS}
    whole = [text.text for text in choose(words=("know", "write", "apple")) if (text.start, text.end) == (0, 1)]
    assert len(whole) > 300 and not keys & {other_words.phonemes(text) for text in set(whole)}
    assert {"know", "write"}.isdisjoint(" ".join(whole).split())


def test_pieces_are_less_than_half():
    """What is cut out of a keyword is less than half of it, at its beginning or at its end."""
    pieces = [text for text in choose() if (text.start, text.end) != (0, 1)]
    assert pieces and all(text.end - text.start < 0.5 for text in pieces)
    assert all(text.text in KEYWORDS and (text.start == 0 or text.end == 1) for text in pieces)


def test_most_texts_are_said_once_or_twice():
    """So many texts are there that most of what is tested was never trained."""
    counts = Counter(text.text for text in choose(2500) if (text.start, text.end) == (0, 1))
    assert len(counts) > 1500 and max(counts.values()) <= 3


def test_near_misses_differ_in_one_part():
    """The beginning, the vowel or the end of one word is exchanged, the rest of a keyword stays."""
    near = other_words.near_misses(["stop", "turn off"])
    assert {"shop", "step", "stock", "burn off", "turn oft"} <= set(near)
    assert "stop" not in near and near == sorted(set(near))


def test_keywords_that_have_no_near_misses():
    """Words in another script get common words in place of near misses."""
    assert other_words.near_misses(["привет"]) == []
    assert len(choose(50, keywords=["привет"])) == 50


def test_no_other_words_are_left():
    """All words are keywords: an error, unless none is asked for."""
    with pytest.raises(UserError, match="no unknown words are left"):
        choose(2, words=("Yes", "NO"))
    assert choose(0, words=("yes",)) == []
