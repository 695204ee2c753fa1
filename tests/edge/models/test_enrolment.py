"""The closed form of enrolment is the discriminant of the textbook, and fits into a trained graph."""

import keras
import numpy as np
import pytest
from sklearn.covariance import OAS
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from edge.core.errors import UserError
from edge.data.shards import Spec, Split, Tensor
from edge.heads import Classification, Regression
from edge.models import enrolment
from edge.models.networks.classifiers import ARCHITECTURES

INPUT = Tensor("x", (6,))
SPEC = Spec(INPUT, Tensor("scores", (3,)), ("a", "b", "c"), {})


def clouds(classes: int, rows: int = 200, apart: float = 60.0) -> Split:
    """Correlated clouds of points, a class each, integers; their centres are ``apart``."""
    rng = np.random.default_rng(1)
    y = np.arange(rows) % classes
    mixing = np.random.default_rng(2).normal(0, 20, (6, 6))
    centres = np.random.default_rng(3).normal(0, apart, (9, 6))
    return Split(np.round(rng.normal(size=(rows, 6)) @ mixing + centres[y]).astype(np.int16), y, INPUT)


def model(**changes) -> keras.Model:
    """A trained model in miniature: the embedding is its input."""
    x = keras.Input((6,), name="x")
    embedding = keras.layers.Dropout(0.5, name=changes.get("name", "embedding"))(x)
    between = changes.get("between", lambda same: same)(embedding)
    return keras.Model(x, keras.layers.Dense(3, changes.get("activation"), name="logits")(between))


def test_statistics_are_those_of_numpy():
    """Means of the classes, and the covariance around them, over several batches."""
    split = clouds(3)
    found = enrolment.statistics(enrolment.embedding(model()), split, 3)
    x = split.x.astype(float)
    means = np.stack([x[split.y == label].mean(axis=0) for label in range(3)])
    np.testing.assert_allclose(found.means, means)
    residuals = x - means[split.y]
    np.testing.assert_allclose(found.covariance, residuals.T @ residuals / (len(x) - 3))


def test_the_shrinkage_is_the_oracle_approximating_one():
    """The shrunk covariance equals scikit-learn's OAS of the residuals, but for the degrees of freedom."""
    split = clouds(1, 20)
    found = enrolment.statistics(enrolment.embedding(model()), split, 1)
    residuals = split.x - split.x.mean(axis=0)
    biased = found._replace(covariance=found.covariance * 19 / 20, degrees=20)
    np.testing.assert_allclose(biased.shrunk(), OAS(assume_centered=True).fit(residuals).covariance_)


def test_the_layer_is_a_linear_discriminant():
    """It gives the probabilities of scikit-learn's discriminant analysis with equal priors and the same covariance."""
    split = clouds(3)
    found = enrolment.statistics(enrolment.embedding(model()), split, 3)
    weights, bias = enrolment.discriminant(found, found.means)
    reference = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 3] * 3).fit(split.x, split.y)
    reference.covariance_ = found.shrunk()
    coefficients = np.linalg.solve(found.shrunk(), found.means.T)
    reference.coef_, reference.intercept_ = coefficients.T, -0.5 * np.diag(found.means @ coefficients)
    logits = split.x @ weights + bias
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        scores / scores.sum(axis=1, keepdims=True), reference.predict_proba(split.x.astype(float)), atol=1e-9
    )


def test_left_out_is_what_a_loop_finds():
    """An example does not help itself: the share equals that of a discriminant made anew without each."""
    base, new = clouds(3, apart=15), clouds(5, 30, apart=15)
    rows, y = new.x[new.y > 2].astype(float), new.y[new.y > 2]
    found = enrolment.statistics(enrolment.embedding(model()), base, 3)
    right = 0
    for index in range(len(rows)):
        others = np.arange(len(rows)) != index
        without = found.with_classes(rows[others], y[others] - 3)
        weights, bias = enrolment.discriminant(without, without.means)
        right += (rows[index] @ weights + bias).argmax() == y[index]
    share = enrolment.left_out(found.with_classes(rows, y - 3), rows, y)
    assert share == right / len(rows)
    assert 0 < share < 1


def test_the_temperature_makes_probabilities_honest():
    """Logits that are three times too large are divided by three."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (20000, 4))
    y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)  # classes drawn by their softmax
    assert enrolment.temperature(3 * logits, y) == pytest.approx(3, rel=0.05)


def test_the_graph_stays_but_for_its_last_layer():
    """The larger model has all labels, the given layer, and the output of its head."""
    weights, bias = np.random.default_rng(1).normal(size=(6, 5)), np.arange(5.0)
    grown, spec = enrolment.extended(model(), Classification(), None, SPEC, ("d", "e"), weights, bias)
    assert spec.labels == ("a", "b", "c", "d", "e")
    assert spec.output.shape == (5,)
    assert [layer.name for layer in grown.layers] == ["x", "embedding", "logits", "scores"]
    x = np.random.default_rng(2).normal(size=(4, 6)).astype(np.float32)
    logits = x @ weights + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(grown(x), expected, rtol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_classifier_has_an_embedding(architecture):
    """What `logits` takes can be had of each network by name."""
    x = keras.Input((16, 16) if architecture in ("lstm", "gru") else (16, 16, 1))
    network = keras.Model(x, ARCHITECTURES[architecture](x, 3))
    size = enrolment.embedding(network).output.shape[-1]
    assert network.get_layer("logits").kernel.shape[0] == size


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "hidden"}, "no layer `embedding`"),
        ({"between": keras.layers.Dense(4, name="extra")}, "a layer 'extra' between"),
        ({"activation": "softmax"}, "must be linear"),
    ],
)
def test_a_model_without_embedding_is_refused_by_name(changes, words):
    """No such layer, a layer after it that computes, a last layer that is not linear."""
    with pytest.raises(UserError, match=words):
        enrolment.embedding(model(**changes))


def test_embeddings_that_do_not_vary_are_refused():
    """A network that has learned nothing cannot tell classes apart."""
    found = enrolment.Statistics(np.zeros((3, 6)), np.zeros((6, 6)), 10)
    with pytest.raises(UserError, match="learned nothing"):
        enrolment.discriminant(found, found.means)


def test_a_head_without_classes_is_refused():
    """A forecast has no class to add."""
    with pytest.raises(UserError, match="the task's head is Regression"):
        enrolment.check(Regression())
