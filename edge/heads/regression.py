"""Values that follow from an example, such as the next values of a series: outputs float32 [n, steps].

y is float32 [n, 1 + steps]: the naive forecast (the last known value), then the true values. Skill compares a model
with the naive forecast, which says that nothing changes.
"""

import numpy as np
import pandas as pd

from edge.core.errors import UserError
from edge.data.shards import Spec
from edge.heads.head import Head, Objective

SAME = 0.05  # two forecasts agree where they differ by at most this share of the spread of one of them
PARTS = 10  # ranges of values in ``answers``, as many examples in each


class Regression(Head):
    """Absolute error of values whose mean and standard deviation, ``target_mean`` and ``target_std``, are metadata.

    The logits are in units of that standard deviation; the outputs are in the units of the series.
    """

    headline = "skill"

    def objective(self, config, spec: Spec) -> Objective:
        """Mean absolute error of logits [batch, steps]; the metric ``score`` is the skill."""
        import keras
        import tensorflow as tf

        mean, std = spec.metadata["target_mean"], spec.metadata["target_std"]

        @keras.saving.register_keras_serializable("edge")
        class Skill(keras.metrics.Metric):
            """1 - absolute error / absolute error of the naive forecast, over all batches of an epoch."""

            def __init__(self, name: str = "score", **kwargs):
                super().__init__(name=name, **kwargs)
                self.error = self.add_weight(name="error", initializer="zeros")
                self.naive = self.add_weight(name="naive", initializer="zeros")

            def update_state(self, targets, logits, sample_weight=None):
                self.error.assign_add(tf.reduce_sum(tf.abs(targets[:, 1:] - logits)))
                self.naive.assign_add(tf.reduce_sum(tf.abs(targets[:, 1:] - targets[:, :1])))

            def result(self):
                return 1 - tf.math.divide_no_nan(self.error, self.naive)

        def loss(targets, logits):
            return tf.reduce_mean(tf.abs(targets[:, 1:] - logits), axis=1)

        return Objective(loss, [Skill()], lambda y: (tf.cast(y, tf.float32) - mean) / std)

    def finish(self, model, config, spec: Spec):
        """Back to the units of the series: ``scores``, float32 [batch, steps]."""
        import keras

        scale = keras.layers.Rescaling(spec.metadata["target_std"], spec.metadata["target_mean"], name="scores")
        return keras.Model(model.input, scale(model.output))

    def score(self, y: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Mean absolute error of the model and of the naive forecast, and skill = 1 - one / other (Murphy 1988).

        Raises UserError where the naive forecast is perfect: then skill is not defined.
        """
        errors, naive = self._errors(y, outputs)
        if naive.mean() == 0:
            raise UserError(
                "no value of the series ever changes, the naive forecast is perfect: collect another series"
            )
        mae, mae_naive = float(errors.mean()), float(naive.mean())
        return {"skill": 1 - mae / mae_naive, "mae": mae, "mae_naive": mae_naive}

    def right(self, y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """1 - absolute error of the example / mean absolute error of the naive forecast, not below 0."""
        errors, naive = self._errors(y, outputs)
        return np.clip(1 - errors.mean(axis=1) / max(naive.mean(), np.finfo(np.float64).tiny), 0, 1)

    def _errors(self, y: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Absolute errors of the model and of the naive forecast, float64 [n, steps] each."""
        y = np.asarray(y, np.float64)
        return np.abs(y[:, 1:] - outputs), np.abs(y[:, 1:] - y[:, :1])

    def confidence(self, outputs: np.ndarray) -> np.ndarray:
        """1: a regression does not say how sure it is."""
        return np.ones(len(outputs))

    def answers(self, y: np.ndarray, outputs: np.ndarray, spec: Spec) -> pd.DataFrame:
        """The range in which the true and the answered first value lie; the ranges are tenths of the true values."""
        first = np.asarray(y, np.float64)[:, 1]
        edges = np.unique(np.quantile(first, np.arange(1, PARTS) / PARTS))
        bounds = [f"{edge:.3g}" for edge in edges]
        pairs = zip(bounds, bounds[1:], strict=False)
        names = np.array([f"below {bounds[0]}", *(f"{low} to {high}" for low, high in pairs), f"from {bounds[-1]}"])
        parts = {"actual": first, "predicted": outputs[:, 0]}
        columns = {key: names[np.searchsorted(edges, values, side="right")] for key, values in parts.items()}
        return pd.DataFrame({"example": np.arange(len(first))} | columns)

    def agreement(self, one: np.ndarray, other: np.ndarray) -> float:
        """The share of values that differ by at most 5 % of the standard deviation of ``one``."""
        return float((np.abs(one - other) <= SAME * one.std()).mean())
