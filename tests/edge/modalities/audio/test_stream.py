"""Detection in continuous audio: events from scores, false accepts, misses, the choice of a threshold."""

import numpy as np
import pytest

from edge.modalities.audio import stream
from edge.modalities.audio.stream import Detector, Event, Stream, Word

YES, NO, OTHER = 0, 1, 2
KEYWORDS = [YES, NO]
HOP = 0.1


def sequence(windows: int, *peaks: tuple[int, int, float]) -> np.ndarray:
    """Scores [windows, 3] of other words, but for ``peaks`` (window, label, score)."""
    scores = np.tile([0.05, 0.05, 0.9], (windows, 1))
    for window, label, score in peaks:
        scores[window] = 0
        scores[window, label] = score
    return scores


def heard(scores: np.ndarray, smoothing: int = 1) -> Stream:
    """The stream that these scores are of."""
    return Stream(stream.smooth(scores, smoothing), stream.times(len(scores), 1.0, HOP), 1.0 + HOP * len(scores))


def noisy(windows: int, seed: int = 1) -> np.ndarray:
    """Random scores [windows, 3] that add up to 1."""
    return np.random.default_rng(seed).dirichlet((0.3, 0.3, 1), windows)


def test_known_events_are_found():
    """Two peaks above the threshold are two events with label and time, a peak below it and another word are none."""
    found = heard(sequence(50, (5, YES, 0.9), (20, NO, 0.8), (35, YES, 0.4), (45, OTHER, 1.0)))
    assert stream.events(found.smoothed, found.ends, KEYWORDS, 0.5, 1.0) == [Event(YES, 1.5), Event(NO, 3.0)]


def test_refractory_time():
    """A word heard in neighbouring windows is one event; after the refractory time there may be another."""
    scores = sequence(30, *((window, YES, 0.9) for window in range(5, 25)))
    found = heard(scores)
    times = [event.time for event in stream.events(found.smoothed, found.ends, KEYWORDS, 0.5, 0.95)]
    assert times == pytest.approx([1.5, 2.5])
    assert len(stream.events(found.smoothed, found.ends, KEYWORDS, 0.5, 0.0)) == 20


def test_smoothing_is_the_mean_of_the_last_windows():
    """Each row is the mean of itself and those before it; one high window alone is no event then."""
    scores = sequence(10, (5, YES, 0.9))
    smoothed = stream.smooth(scores, 3)
    assert smoothed[0] == pytest.approx(scores[0])
    assert smoothed[6] == pytest.approx(scores[4:7].mean(axis=0))
    assert stream.events(smoothed, stream.times(10, 1, HOP), KEYWORDS, 0.5, 1.0) == []


@pytest.mark.parametrize("smoothing", [1, 3, 7])
def test_pieces_equal_the_whole(smoothing):
    """A stream that is fed a window at a time gives exactly the events of the stream as a whole."""
    scores = noisy(2000)
    ends = stream.times(len(scores), 1.0, HOP)
    whole = stream.events(stream.smooth(scores, smoothing), ends, KEYWORDS, 0.45, 0.5)
    detector = Detector(KEYWORDS, 0.45, smoothing, 0.5)
    fed = [event for row, end in zip(scores, ends, strict=True) if (event := detector.feed(row, end))]
    assert fed == whole and len(whole) > 10


def test_windows_of_a_stream():
    """Windows begin a hop apart, are scaled, and a rest shorter than a window is left out; batches do not matter."""
    samples = np.arange(10_000, dtype=np.int16)
    scores = stream.scores(lambda x: x[:, [0, -1]], samples, 100, 7, 0.5)
    assert scores.shape == (len(range(0, 10_000 - 100 + 1, 7)), 2)
    assert np.array_equal(scores[300], [1050.0, (2100 + 99) / 2])


def test_false_accepts_are_by_the_hour():
    """Three events in a minute are 180 an hour, and none above the highest score."""
    quiet = Stream(sequence(590, (5, YES, 0.9), (200, NO, 0.8), (400, YES, 0.4)), stream.times(590, 1, HOP), 60.0)
    rates = stream.false_accepts(quiet, KEYWORDS, 1.0, np.array([0.3, 0.5, 0.85, 0.95]))
    assert rates.tolist() == [180, 120, 60, 0]


def test_misses():
    """Missed are a word that is not heard, heard as another, or heard too late; not one that is heard in time."""
    words = [Word(YES, 1.0, 1.5), Word(NO, 5.0, 5.5), Word(YES, 9.0, 9.5), Word(YES, 13.0, 13.5)]
    found = [Event(YES, 2.0), Event(YES, 5.6), Event(YES, 11.0)]
    assert stream.missed(found, words, 1.0) == [False, True, True, True]
    assert stream.missed([*found, Event(YES, 14.5)], words, 1.0) == [False, True, True, False]


def test_curve_is_monotone():
    """A higher threshold has never more false accepts, and misses no fewer words that are apart from each other."""
    rates = stream.false_accepts(heard(noisy(5000), 3), KEYWORDS, 0.7)
    assert np.all(np.diff(rates) <= 0) and rates[0] > rates[-1] == 0
    peaks = np.random.default_rng(2).uniform(0, 1, 100)
    spoken = sequence(3000, *((30 * i + 10, i % 2, peak) for i, peak in enumerate(peaks)))
    words = [Word(i % 2, 3 * i + 1.5, 3 * i + 2) for i in range(100)]
    misses = stream.miss_rate(heard(spoken), words, KEYWORDS, 1.0, 1.0)
    assert np.all(np.diff(misses[11:]) >= 0)  # above the scores between the words
    assert misses[100] == pytest.approx(np.mean(peaks < 0.5))


def test_threshold_honours_the_limit():
    """The smallest threshold with at most so many false accepts is chosen; where there is none, that is an error."""
    thresholds, rates = np.array([0.2, 0.4, 0.6, 0.8]), np.array([100.0, 12.0, 3.0, 1.0])
    assert stream.choose_threshold(rates, 12, thresholds) == 0.4
    assert stream.choose_threshold(rates, 11, thresholds) == 0.6
    with pytest.raises(ValueError, match="at most 0.5 false accepts an hour: the best has 1"):
        stream.choose_threshold(rates, 0.5, thresholds)
