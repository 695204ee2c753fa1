"""Enrolment: classes added to a trained classifier from a few examples each, in closed form, without training.

The last layer becomes a linear discriminant (Fisher 1936) on the embedding that the network has learned: with the mean
of each class and one covariance within classes, W = S^-1 M and b = -1/2 diag(M^T S^-1 M), for the old classes as for
the new. Rows that are means beside rows that were trained (imprinting, Qi et al. 2018) do not share a scale, and the
network never had to tell the new classes apart: only the covariance shows the small differences between them.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from edge.core.errors import UserError
from edge.data import shards
from edge.data.enrolled import Enrolled
from edge.data.shards import Spec, Split
from edge.heads import Classification, Head
from edge.models import keras_file, training

BATCH = 64  # examples in memory at a time
HOTTEST = 1000.0  # largest temperature


class Statistics(NamedTuple):
    """Of embeddings: the ``means`` of the classes, float64 [classes, d], and their common ``covariance`` [d, d].

    ``degrees`` is the number of examples that the covariance is estimated from, less the number of their classes.
    """

    means: np.ndarray
    covariance: np.ndarray
    degrees: int

    def with_classes(self, rows: np.ndarray, y: np.ndarray) -> "Statistics":
        """With the means of more classes: of ``rows`` [n, d], whose classes ``y`` count from 0 on."""
        means = [rows[y == number].mean(axis=0) for number in range(y.max() + 1)]
        return self._replace(means=np.concatenate([self.means, means]))

    def shrunk(self) -> np.ndarray:
        """The covariance, shrunk towards equal variances without correlation.

        The share is the oracle approximating one (Chen, Wiesel, Eldar, Hero 2010, eq. 23, without its terms in 2/d, as
        scikit-learn has it): small where examples are many against d, large where they are few. Raises UserError where
        the embeddings do not vary.
        """
        size = len(self.covariance)
        trace, squares = np.trace(self.covariance), (self.covariance**2).sum()
        if not trace > 0:
            raise UserError("the model's embeddings are the same for all training examples: it has learned nothing")
        spread = (self.degrees + 1) * (squares - trace**2 / size)
        share = min(1.0, (squares + trace**2) / spread) if spread > 0 else 1.0
        return (1 - share) * self.covariance + share * trace / size * np.eye(size)


class Opened(NamedTuple):
    """A model that is to be converted, and its spec.

    Where classes were enrolled, ``entries`` are the metadata that this changes: which classes, from which examples, and
    the task's decision for the larger model; and ``metrics`` has accuracy on the test split, which has the old classes
    only, before (``old_before``) and after (``old``), and on the new examples, each left out of its mean in turn
    (``new``). Both are empty where none were.
    """

    model: keras.Model
    spec: Spec
    entries: dict
    metrics: dict


def opened(task, config, path: Path, prepared: Path, new: Enrolled | None, seed: int) -> Opened:
    """The trained model in the file ``path``, with the classes of ``new`` where there are any.

    ``task`` and its whole ``config`` are as tasks.selected() gives them. Raises UserError where ``new`` has examples
    and the model is none of a classification, or has no ``embedding``. Call it before TensorFlow computes anything.
    """
    if new:
        check(task.head)
        training.deterministic(seed, config.train.threads)
    model, spec = keras_file.load(path, task.layers() | task.head.layers()), shards.load_spec(prepared)
    if not new:
        return Opened(model, spec, {}, {})
    train, val, test = (shards.load(prepared, name) for name in ("train", "val", "test"))
    embed = embedding(model)
    rows = embeddings(embed, Split(new.x, new.y, spec.input))
    found = statistics(embed, train, len(spec.labels)).with_classes(rows, new.y)
    weights, bias = discriminant(found, found.means)
    heat = temperature(embeddings(embed, val) @ weights + bias, val.y)
    grown, larger = extended(model, task.head, config.train, spec, new.labels, weights / heat, bias / heat)
    before, after = (task.head.score(test.y, keras_file.predict(each, test)) for each in (model, grown))
    decision = task.decide(grown.predict_on_batch, prepared, config.train, larger, seed)
    entry = {"labels": list(new.labels), "examples": len(rows), "sha256": new.sha256}
    metrics = {
        "examples": len(rows),
        "old_before": before[task.head.headline],
        "old": after[task.head.headline],
        "new": left_out(found, rows, len(spec.labels) + new.y),
    }
    return Opened(grown, larger, decision.metadata | {"enrolled": entry}, {"enrolment": metrics | decision.metrics})


def check(head: Head) -> None:
    """Raise UserError where the kind of answer has no classes that could be added to."""
    if not isinstance(head, Classification):
        raise UserError(f"classes are enrolled in a classifier, and the task's head is {type(head).__name__}")


def embedding(model: keras.Model) -> keras.Model:
    """``model`` up to its layer ``embedding``, float32 [n, d]: what its last layer ``logits``, a Dense, takes.

    Raises UserError where there are no two such layers, or something else is between them.
    """
    layers = {layer.name: layer for layer in model.layers}
    logits = layers.get("logits")
    if "embedding" not in layers or not isinstance(logits, keras.layers.Dense):
        raise UserError(
            "the model has no layer `embedding` before a dense layer `logits`: name them in the network, train again"
        )
    before = logits.input
    while before is not layers["embedding"].output:
        layer = before._keras_history.operation
        if not isinstance(layer, keras.layers.Dropout):
            raise UserError(f"the model has a layer {layer.name!r} between `embedding` and `logits`: move `embedding`")
        before = layer.input
    if logits.activation is not keras.activations.linear or len(before.shape) != 2:
        raise UserError("the model's layer `logits` must be linear, and its `embedding` a row of numbers an example")
    return keras.Model(model.input, before)


def embeddings(embed: keras.Model, split: Split) -> np.ndarray:
    """The embeddings of ``split``, float64 [n, d]."""
    return keras_file.predict(embed, split, BATCH).astype(np.float64)


def statistics(embed: keras.Model, split: Split, classes: int) -> Statistics:
    """Means and covariance of the embeddings of ``split``, a batch in memory at a time.

    The sums are np.einsum's, in float64, so that they do not depend on the number of processors.
    """
    size = embed.output.shape[-1]
    counts, sums, squares = np.zeros(classes), np.zeros((classes, size)), np.zeros((size, size))
    for start in range(0, len(split), BATCH):
        part = slice(start, start + BATCH)
        rows, y = embed(split.inputs(part), training=False).numpy().astype(np.float64), split.y[part]
        counts += np.bincount(y, minlength=classes)
        np.add.at(sums, y, rows)
        squares += np.einsum("ni,nj->ij", rows, rows)
    means, degrees = sums / np.maximum(counts, 1)[:, None], max(1, len(split) - classes)
    covariance = (squares - np.einsum("c,ci,cj->ij", counts, means, means)) / degrees
    return Statistics(means, covariance, degrees)


def discriminant(found: Statistics, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights [d, classes] and bias [classes] of the last layer for classes with the ``means`` [classes, d].

    The centre of ``found.means`` is taken off: that changes every logit of an example alike, and so no probability, and
    keeps the logits small, as integers need them.
    """
    centre = found.means.mean(axis=0)
    centred = (means - centre).T
    weights = np.linalg.solve(found.shrunk(), centred)
    return weights, -0.5 * np.einsum("dc,dc->c", centred, weights) - np.einsum("d,dc->c", centre, weights)


def temperature(logits: np.ndarray, y: np.ndarray) -> float:
    """What to divide ``logits`` [n, classes] by, so that their probabilities are as sure as they are right.

    The one with the lowest cross-entropy, 1 to HOTTEST (Guo et al. 2017, On calibration of modern neural networks).
    """

    def loss(logarithm: float) -> float:
        return -log_softmax(logits / np.exp(logarithm), axis=1)[np.arange(len(y)), y].mean()

    return float(np.exp(minimize_scalar(loss, bounds=(0, np.log(HOTTEST)), method="bounded").x))


def extended(
    model: keras.Model,
    head: Head,
    config,
    spec: Spec,
    labels: tuple[str, ...],
    weights: np.ndarray,
    bias: np.ndarray,
) -> tuple[keras.Model, Spec]:
    """The graph of the trained ``model`` with another last layer, which knows ``labels`` too; and its spec.

    ``weights`` [d, all labels] and ``bias`` [all labels] are those of the layer; ``config`` is the section `train`.
    """
    labels = (*spec.labels, *labels)
    logits = keras.layers.Dense(len(labels), name="logits")
    grown = keras.Model(model.input, logits(model.get_layer("logits").input))
    logits.set_weights((weights, bias))
    spec = replace(spec, labels=labels, output=replace(spec.output, shape=(len(labels),)))
    return head.finish(grown, config, spec), spec


def left_out(found: Statistics, rows: np.ndarray, y: np.ndarray) -> float:
    """Share of examples that are right while they do not count in the mean of their class.

    ``rows``, float64 [n, d], are the embeddings that the means of the classes ``y`` were taken from, two or more each.
    """
    counts = np.bincount(y)[y][:, None]
    others = (counts * found.means[y] - rows) / (counts - 1)  # the mean of a class without the example itself
    (weights, bias), (own, shift) = discriminant(found, found.means), discriminant(found, others)
    scores = rows @ weights + bias
    scores[np.arange(len(y)), y] = np.einsum("nd,dn->n", rows, own) + shift
    return float((scores.argmax(axis=1) == y).mean())
