"""Streams made of clips: length, level, known times, the same bytes for the same seed."""

import numpy as np
import pytest

from edge.modalities.audio import continuous

RATE = 8000


def clips(count: int, seed: int, low: int = 1000, high: int = 5000) -> np.ndarray:
    """int16 [count, RATE]: noise between zeros, as preprocess pads a short clip."""
    out = np.zeros((count, RATE), np.int16)
    out[:, low:high] = np.random.default_rng(seed).normal(0, 2000, (count, high - low)).round()
    return out


def quiet(seed=1, unknown=None, noise=None, seconds=33.0):
    unknown = clips(20, 1) if unknown is None else unknown
    noise = clips(5, 2, 0, RATE) if noise is None else noise
    return continuous.without_keywords(unknown, noise, RATE, seconds, np.random.default_rng(seed))


def test_same_seed_same_stream():
    """The same seed gives the same samples, another seed others, and the length is as asked for."""
    assert np.array_equal(quiet(), quiet()) and not np.array_equal(quiet(), quiet(seed=2))
    assert quiet().dtype == np.int16 and len(quiet()) == 33 * RATE


def test_padding_is_no_cue():
    """There are words, pauses and a noise floor: hardly any sample is the zero that clips are padded with."""
    assert np.mean(quiet() == 0) < 0.05
    assert np.abs(quiet(seconds=120)).max() > 3000


@pytest.mark.parametrize("empty", ["unknown", "noise"])
def test_one_label_is_enough(empty):
    """Without noise clips the floor is white noise; without other words all is background."""
    samples = quiet(**{empty: np.zeros((0, RATE), np.int16)})
    assert len(samples) == 33 * RATE and samples.any()


def test_words_are_where_they_are_said_to_be():
    """Every keyword comes once, louder than the background, between its begin and its end; the limit is kept."""
    labels = np.arange(12) % 3
    noise = clips(5, 2, 0, RATE)
    rng = np.random.default_rng(1)
    samples, words = continuous.with_keywords(clips(12, 3), labels, noise, RATE, 600, rng)
    assert sorted(word.label for word in words) == sorted(labels)
    inside = np.zeros(len(samples), bool)
    for word in words:
        assert word.end - word.start == pytest.approx(0.5, abs=0.01)
        inside[round(word.start * RATE) : round(word.end * RATE)] = True
    assert all(second.start - first.end >= 1 - 1e-3 for first, second in zip(words, words[1:], strict=False))
    assert np.std(samples[inside]) > 5 * np.std(samples[~inside])
    short, few = continuous.with_keywords(clips(12, 3), labels, noise, RATE, 6, np.random.default_rng(1))
    assert 0 < len(few) < 12 and len(short) <= (6 + 2) * RATE
