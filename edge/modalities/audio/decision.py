"""The threshold of a keyword spotter, chosen on validation, and what it is worth on the test split."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from edge.data import shards
from edge.data.decision import DET, Decision
from edge.data.shards import Spec
from edge.modalities.audio import continuous, stream
from edge.modalities.audio.speech import SILENCE, UNKNOWN

TOLERANCE = 0.5  # seconds after the last window that holds a whole word in which the word must be reported


def decide(predict: Callable, prepared: Path, config, spec: Spec, seed: int) -> Decision:
    """The threshold of a keyword spotter, what it is worth, and the curve that it is chosen on.

    ``config`` has ``hop``, ``smoothing`` and ``refractory`` in seconds, ``false_accepts`` an hour and ``minutes`` of
    each stream. Where no threshold keeps to ``false_accepts``, a warning says so and there is the curve alone.
    """
    if UNKNOWN not in spec.labels:
        print(f"no label {UNKNOWN}: false accepts and misses in continuous audio are not measured")
        return Decision({}, {}, pd.DataFrame(columns=DET))
    val, test = (
        Listener(predict, shards.load(prepared, name), config, spec, np.random.default_rng([seed, number]))
        for number, name in enumerate(("val", "test"))
    )
    columns = (stream.THRESHOLDS, test.false_accepts(), test.miss_rate())
    table = pd.DataFrame(dict(zip(DET, columns, strict=True)))
    try:
        threshold = stream.choose_threshold(val.false_accepts(), config.false_accepts)
    except ValueError as error:
        print(f"warning: train.stream.false_accepts: {error}; the model has no threshold", file=sys.stderr)
        return Decision({}, {}, table)
    chosen = table[table.threshold == threshold].iloc[0]
    metadata = {"threshold": threshold} | {key: getattr(config, key) for key in ("hop", "smoothing", "refractory")}
    metrics = {
        "false_accepts_per_hour": float(chosen.false_accepts),
        "miss_rate": float(chosen.misses),
        "hours": config.minutes / 60,
    }
    return Decision(metadata, metrics, table)


class Listener:
    """A model that listens to streams made of one split."""

    def __init__(self, predict: Callable, split: shards.Split, config, spec: Spec, rng: np.random.Generator):
        self.predict, self.split, self.config, self.spec, self.rng = predict, split, config, spec, rng
        self.rate = spec.metadata["sample_rate"]
        self.names = np.array(spec.labels)[split.y]
        self.noise = split.x[self.names == SILENCE]
        self.keywords = [index for index, name in enumerate(spec.labels) if name not in (UNKNOWN, SILENCE)]

    def false_accepts(self) -> np.ndarray:
        """False accepts an hour, float64 [thresholds], in ``minutes`` of other words and noise."""
        unknown = self.split.x[self.names == UNKNOWN]
        samples = continuous.without_keywords(unknown, self.noise, self.rate, 60 * self.config.minutes, self.rng)
        return stream.false_accepts(self.hear(samples), self.keywords, self.config.refractory)

    def miss_rate(self) -> np.ndarray:
        """Miss rate, float64 [thresholds], of the keywords, each said once, but no more than fit into ``minutes``."""
        rows = np.flatnonzero(np.isin(self.split.y, self.keywords))
        clips, labels = self.split.x[rows], self.split.y[rows]
        samples, words = continuous.with_keywords(
            clips, labels, self.noise, self.rate, 60 * self.config.minutes, self.rng
        )
        tolerance = self.spec.input.shape[0] / self.rate + self.config.smoothing + TOLERANCE
        return stream.miss_rate(self.hear(samples), words, self.keywords, self.config.refractory, tolerance)

    def hear(self, samples: np.ndarray) -> stream.Stream:
        """The smoothed scores of int16 [samples]."""
        window, hop = self.spec.input.shape[0], round(self.config.hop * self.rate)
        scores = stream.scores(self.predict, samples, window, hop, self.spec.input.scale)
        ends = stream.times(len(scores), window / self.rate, hop / self.rate)
        smoothed = stream.smooth(scores, max(1, round(self.config.smoothing / self.config.hop)))
        return stream.Stream(smoothed, ends, len(samples) / self.rate)
