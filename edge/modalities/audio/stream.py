"""Keyword detection in continuous audio: scores of windows, smoothing, events, false accepts and misses.

A classifier sees one window at a time. A detector takes a window every ``hop`` seconds, averages the scores of the last
windows (posterior smoothing: Chen, Parada and Heigold 2014, Small-footprint keyword spotting using deep neural
networks) and reports an event where the average of a keyword reaches the threshold. How good it is shows in two
figures: false accepts an hour of audio without keywords, and the miss rate, the share of spoken keywords that are not
reported. The two against each other for every threshold are the detection error tradeoff (DET) curve: Martin et al.
1997. numpy and device/ only, so that this file can travel to a device.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from device.tensors import model_input

THRESHOLDS = np.linspace(0, 1, 201)


class Event(NamedTuple):
    """A keyword was reported: index of its label, and the end of the window that decided, in seconds."""

    label: int
    time: float


class Word(NamedTuple):
    """A keyword that was said: index of its label, its begin and end in seconds."""

    label: int
    start: float
    end: float


class Detector:
    """Events from scores that come one window after another.

    ``keywords`` are the indices of the labels that may be reported. ``smoothing`` is the number of windows averaged, 1
    or more; at the start of a stream there are fewer. ``threshold`` is the least smoothed score of an event. After an
    event there is none for ``refractory`` seconds, whatever the label. One detector is for one stream.
    """

    def __init__(self, keywords: Sequence[int], threshold: float, smoothing: int, refractory: float):
        self.keywords, self.threshold, self.refractory = list(keywords), threshold, refractory
        self.recent = deque(maxlen=smoothing)
        self.last = -np.inf

    def feed(self, scores: np.ndarray, time: float) -> Event | None:
        """The event that the scores [labels] of the window that ends at ``time`` seconds bring about, or None."""
        self.recent.append(np.asarray(scores, np.float64))
        return self.decide(*strongest(np.mean(self.recent, axis=0), self.keywords), time)

    def decide(self, label: int, score: float, time: float) -> Event | None:
        """The event of a smoothed score, or None."""
        if score < self.threshold or time - self.last < self.refractory:
            return None
        self.last = time
        return Event(int(label), float(time))


def strongest(smoothed: np.ndarray, keywords: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The keyword with the highest smoothed score and that score, of [..., labels]: two arrays [...]."""
    chosen = smoothed[..., list(keywords)]
    return np.asarray(keywords)[chosen.argmax(axis=-1)], chosen.max(axis=-1)


def scores(
    predict: Callable[[np.ndarray], np.ndarray], samples: np.ndarray, window: int, hop: int, scale: float = 1.0
) -> np.ndarray:
    """Scores [windows, labels] of a stream [samples] at windows of ``window`` samples that begin ``hop`` samples apart.

    ``predict`` turns float32 [n, window] into [n, labels]; it gets samples as a model takes them, 256 windows at a
    time. A rest shorter than a window is left out.
    """
    windows = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    parts = [windows[start : start + 256] for start in range(0, len(windows), 256)]
    return np.concatenate([predict(model_input(part, scale)) for part in parts])


def times(count: int, window: float, hop: float) -> np.ndarray:
    """When each of ``count`` windows ends, in seconds: float64 [count]; ``window`` and ``hop`` in seconds."""
    return window + hop * np.arange(count)


def smooth(scores: np.ndarray, count: int) -> np.ndarray:
    """The mean of each row of scores [windows, labels] and the ``count - 1`` rows before it: float64, same shape."""
    values = np.asarray(scores, np.float64)
    return np.array([values[max(0, row + 1 - count) : row + 1].mean(axis=0) for row in range(len(values))])


def events(
    smoothed: np.ndarray, ends: np.ndarray, keywords: Sequence[int], threshold: float, refractory: float
) -> list[Event]:
    """The events of a whole stream, as ``Detector`` gives them: smoothed scores [windows, labels], ends [windows]."""
    labels, values = strongest(smoothed, keywords)
    detector = Detector(keywords, threshold, 1, refractory)
    rows = np.flatnonzero(values >= threshold)
    found = (detector.decide(labels[row], values[row], ends[row]) for row in rows)
    return [event for event in found if event is not None]


def missed(found: Sequence[Event], words: Sequence[Word], tolerance: float) -> list[bool]:
    """Of each word, whether no event of its label came between its begin and ``tolerance`` seconds after its end."""
    when = {label: np.array([event.time for event in found if event.label == label]) for label, *_ in words}
    return [not np.any((when[word.label] >= word.start) & (when[word.label] <= word.end + tolerance)) for word in words]


class Stream(NamedTuple):
    """Smoothed scores [windows, labels] of a stream, the ends of its windows [windows] and its length, in seconds."""

    smoothed: np.ndarray
    ends: np.ndarray
    seconds: float


def false_accepts(
    quiet: Stream, keywords: Sequence[int], refractory: float, thresholds: np.ndarray = THRESHOLDS
) -> np.ndarray:
    """False accepts an hour of a stream without keywords, float64 [thresholds].

    They never rise with the threshold: the windows above a higher one are a part of those above a lower one, and taking
    the earliest that the refractory time allows gives the most events that are that far apart.
    """
    counts = [len(events(quiet.smoothed, quiet.ends, keywords, level, refractory)) for level in thresholds]
    return np.array(counts) * 3600 / quiet.seconds


def miss_rate(
    spoken: Stream,
    words: Sequence[Word],
    keywords: Sequence[int],
    refractory: float,
    tolerance: float,
    thresholds: np.ndarray = THRESHOLDS,
) -> np.ndarray:
    """The share of ``words`` that are missed, float64 [thresholds].

    It rises with the threshold, but for a false event just before a word, which keeps the word from being reported.
    """
    found = (events(spoken.smoothed, spoken.ends, keywords, level, refractory) for level in thresholds)
    return np.array([np.mean(missed(each, words, tolerance)) for each in found])


def choose_threshold(rates: np.ndarray, most: float, thresholds: np.ndarray = THRESHOLDS) -> float:
    """The smallest of rising ``thresholds`` whose false accepts an hour, ``rates``, are at most ``most``.

    Raises ValueError where there is none.
    """
    allowed = thresholds[rates <= most]
    if len(allowed) == 0:
        raise ValueError(f"no threshold has at most {most:g} false accepts an hour: the best has {rates.min():g}")
    return float(allowed[0])
