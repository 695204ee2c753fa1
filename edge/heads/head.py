"""The contract of a head: how a kind of answer is learned, finished inside the graph, scored and compared."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from edge.data.shards import Spec


class Objective(NamedTuple):
    """What training needs: a Keras loss of (targets, logits), Keras metrics, and ``targets``.

    ``targets`` turns a batch of stored y into what the loss takes; it runs inside tf.data, after the augmentation.
    """

    loss: Callable
    metrics: list
    targets: Callable


class Head(ABC):
    """One kind of answer. A task names a head; ``y`` and ``outputs`` of the methods have one row an example.

    ``headline`` is the name of the metric in ``score`` that people read first. A headline is at most 1, and higher is
    better: accuracy, macro_f1, map50, skill. It may be negative, as the skill of a bad forecast is.
    """

    headline: str

    @abstractmethod
    def objective(self, config, spec: Spec) -> Objective:
        """Loss, metrics and targets; ``config`` is the section ``train`` of the task. One metric is named ``score``."""

    @abstractmethod
    def finish(self, model, config, spec: Spec):
        """The Keras model as users run it: from ``logits`` to the one output ``scores``."""

    def layers(self) -> dict[str, type]:
        """Keras layers of our own that ``finish`` adds, by the name that a .keras file gives them."""
        return {}

    @abstractmethod
    def score(self, y: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Metrics of a model's outputs, the headline among them."""

    @abstractmethod
    def right(self, y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """How right each example is, float64 [n], from 0 (wrong) to 1 (right)."""

    @abstractmethod
    def confidence(self, outputs: np.ndarray) -> np.ndarray:
        """How sure the model is of each example, float64 [n], from 0 to 1."""

    @abstractmethod
    def answers(self, y: np.ndarray, outputs: np.ndarray, spec: Spec) -> pd.DataFrame:
        """What is true and what was answered, as text: columns ``example`` (row number), ``actual``, ``predicted``.

        An example has one row, or one for each of its boxes.
        """

    @abstractmethod
    def agreement(self, one: np.ndarray, other: np.ndarray) -> float:
        """How much the outputs of two models for the same examples say the same, from 0 to 1."""

    def difference(self, one: np.ndarray, other: np.ndarray) -> float:
        """Largest difference between the outputs of two models for the same examples, in the unit of the outputs."""
        return float(np.abs(one.astype(np.float64) - other).max())

    def shown(self, y: np.ndarray, spec: Spec) -> dict[str, int]:
        """Examples that a person looks at first: a name, and the row of the example. By default the first nine."""
        return {f"example {row}": row for row in range(min(len(y), 9))}
