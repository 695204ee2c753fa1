"""One label an example, out of a list: y int64 [n] label indices, outputs float32 [n, labels] probabilities."""

from typing import Literal

import numpy as np
import pandas as pd

from edge.data.shards import Spec
from edge.heads.head import Head, Objective


class Classification(Head):
    """Softmax over the labels, trained by cross-entropy with label smoothing (``train.label_smoothing``).

    ``headline`` is accuracy, or macro_f1 where rare labels count as much as frequent ones.
    """

    def __init__(self, headline: Literal["accuracy", "macro_f1"] = "accuracy"):
        self.headline = headline

    def objective(self, config, spec: Spec) -> Objective:
        """Cross-entropy of logits [batch, labels]; the metric ``score`` is the headline, over all of an epoch."""
        import keras
        import tensorflow as tf

        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing)
        count = len(spec.labels)
        if self.headline == "macro_f1":
            score = keras.metrics.F1Score("macro", name="score")
        else:
            score = keras.metrics.CategoricalAccuracy("score")
        return Objective(loss, [score], lambda y: tf.one_hot(y, count))

    def finish(self, model, config, spec: Spec):
        """Softmax: ``scores``, float32 [batch, labels], are probabilities."""
        import keras

        return keras.Model(model.input, keras.layers.Softmax(name="scores")(model.output))

    def score(self, y: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Top-1 accuracy, and macro-F1 over the labels that y has: none that was enrolled since counts as missed."""
        from sklearn.metrics import accuracy_score, f1_score

        answered = outputs.argmax(axis=1)
        return {
            "accuracy": float(accuracy_score(y, answered)),
            "macro_f1": float(f1_score(y, answered, labels=np.unique(y), average="macro", zero_division=0)),
        }

    def right(self, y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """1 where the label of the largest probability is the true one, else 0."""
        return (outputs.argmax(axis=1) == y).astype(np.float64)

    def confidence(self, outputs: np.ndarray) -> np.ndarray:
        """The largest probability."""
        return outputs.max(axis=1).astype(np.float64)

    def answers(self, y: np.ndarray, outputs: np.ndarray, spec: Spec) -> pd.DataFrame:
        """The true label and the label of the largest probability."""
        names = pd.Series(spec.labels, dtype=str)
        columns = {"actual": names[np.asarray(y)].array, "predicted": names[outputs.argmax(axis=1)].array}
        return pd.DataFrame({"example": np.arange(len(y))} | columns)

    def agreement(self, one: np.ndarray, other: np.ndarray) -> float:
        """The share of examples to which both give the same label."""
        return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())

    def shown(self, y: np.ndarray, spec: Spec) -> dict[str, int]:
        """The first example of each label, named after the label."""
        return {label: int(np.argmax(y == index)) for index, label in enumerate(spec.labels) if (y == index).any()}
