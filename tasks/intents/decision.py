"""When an intent counts: a threshold that refuses foreign questions, chosen on validation."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from edge.data import shards
from edge.data.decision import DET, Decision
from edge.data.shards import Spec
from edge.modalities.text.words import Words
from tasks.intents.patterns import UNKNOWN

THRESHOLDS = np.round(np.linspace(0, 1, 101), 2)
BATCH = 64


class Asked:
    """The questions of one split and what the model says: how sure it is, and whether it is right."""

    def __init__(self, predict: Callable, split: shards.Split, spec: Spec):
        scores = np.concatenate([predict(batch) for batch in split.batches(BATCH)])
        foreign, answer = spec.labels.index(UNKNOWN), scores.argmax(axis=1)
        self.foreign, self.right = np.asarray(split.y) == foreign, answer == split.y
        known = Words(spec.metadata).known(np.asarray(split.x))
        self.sure = np.where((answer != foreign) & known, scores.max(axis=1), -1.0)  # -1: refused at any threshold

    def refused(self, foreign: bool) -> np.ndarray:
        """The share of the questions that is refused, float64 [thresholds]: of foreign ones, or of the others."""
        sure = self.sure[self.foreign == foreign]
        return (sure[None] < THRESHOLDS[:, None]).mean(axis=1)

    def answered_right(self, threshold: float) -> float:
        """The share of the questions that are not foreign that get the right answer."""
        return float((self.right & (self.sure >= threshold))[~self.foreign].mean())


def decide(predict: Callable, prepared: Path, refuse: float, spec: Spec) -> Decision:
    """Metadata, metrics and table as the task's contract says.

    The threshold is the smallest that refuses the share ``refuse`` of the foreign questions of the val split. Metrics
    are of the test split. Without questions that no intent answers there is nothing to choose by, and a line says so.
    """
    if UNKNOWN not in spec.labels:
        print(f"no tag {UNKNOWN}: nobody knows which questions the model should refuse, so it has no threshold")
        return Decision({}, {}, pd.DataFrame(columns=DET))
    val, test = (Asked(predict, shards.load(prepared, name), spec) for name in ("val", "test"))
    columns = THRESHOLDS, 1 - test.refused(foreign=True), test.refused(foreign=False)
    table = pd.DataFrame(dict(zip(DET, columns, strict=True)))
    enough = np.flatnonzero(val.refused(foreign=True) >= refuse)
    if not len(enough):
        print(f"warning: train.refuse = {refuse:g}: no threshold refuses so many; there is none", file=sys.stderr)
        return Decision({}, {}, table)
    threshold = float(THRESHOLDS[enough[0]])
    metrics = {
        "held_out_accuracy": float(test.right[~test.foreign].mean()),
        "held_out_answered_right": test.answered_right(threshold),
        "held_out_refused": float(table.misses[enough[0]]),
        "foreign_refused": float(1 - table.false_accepts[enough[0]]),
    }
    return Decision({"threshold": threshold}, metrics, table)
