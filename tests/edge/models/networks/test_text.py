"""Text networks: padding counts for nothing, word indices are never rounded, `words` starts as naive Bayes."""

from types import SimpleNamespace

import numpy as np
import pytest

from edge.data.shards import Spec, Split, Tensor
from edge.heads import Classification
from edge.models import keras_file, training
from edge.models.compression import schemes
from edge.models.formats import onnx_export, onnx_file, tflite
from edge.models.networks import text

ROWS, LENGTH, LABELS = 3000, 8, ("no", "yes")  # more rows than half precision has whole numbers
SPEC = Spec(Tensor("words", (LENGTH,)), Tensor("scores", (2,)), LABELS, {})
START = np.random.default_rng(0).normal(size=(ROWS, 1)).astype(np.float32)
QUANTIZE = SimpleNamespace(per_channel=True, batch=16)


def network(name: str):
    training.deterministic(1)
    return text.model(SimpleNamespace(architecture=name, width=16, dropout=0.5), SPEC, START)


def rows(count: int) -> Split:
    """Texts of 3 to 8 words, most of them with large indices, whose neighbours have other weights."""
    rng = np.random.default_rng(1)
    x = rng.integers(2, ROWS, (count, LENGTH), dtype=np.int16)
    x[:, 3:][rng.random((count, LENGTH - 3)) < 0.5] = 0
    return Split(np.sort(x, axis=1)[:, ::-1].copy(), np.zeros(count, np.int64), SPEC.input)


@pytest.fixture(scope="module", params=text.ARCHITECTURES)
def converted(request, tmp_path_factory):
    """(Keras model, its ONNX file, its TFLite file) of each network, untrained, with moved batch statistics."""
    model = network(request.param)
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(variable + np.random.default_rng(number).normal(0, 0.3, variable.shape))
    model = Classification().finish(model, None, SPEC)
    folder = tmp_path_factory.mktemp("text")
    onnx_export.to_onnx(model, SPEC, 18, {"task": "t"}, folder / "model.onnx")
    tflite.to_tflite(model, SPEC, {}, folder / "model.tflite")
    return model, folder / "model.onnx", folder / "model.tflite"


def test_the_graphs_are_the_network(converted):
    """ONNX and TFLite give Keras' scores, word indices of any size included."""
    model, onnx_path, tflite_path = converted
    split = rows(40)
    expected = keras_file.predict(model, split)
    assert np.ptp(expected[:, 0]) > 0.02
    np.testing.assert_allclose(onnx_file.predict(onnx_path, split), expected, atol=1e-5)
    np.testing.assert_allclose(tflite.predict(tflite_path, split), expected, atol=1e-5)


@pytest.mark.parametrize("scheme", ["fp16", "int8", "int8_dynamic"])
def test_no_scheme_makes_other_words_of_indices(converted, scheme, tmp_path):
    """`features` is int32 in every file, equal to the stored indices, and the scores stay near those of fp32."""
    import onnx

    _, source, _ = converted
    split = rows(100)
    schemes.SCHEMES[scheme](source, tmp_path / "edge.onnx", split, QUANTIZE)
    onnx.checker.check_model(onnx.load(tmp_path / "edge.onnx"), full_check=True)
    assert np.abs(onnx_file.predict(tmp_path / "edge.onnx", split) - onnx_file.predict(source, split)).max() < 0.1
    onnx.save(onnx_file.with_steps(onnx.load(tmp_path / "edge.onnx"), "features"), tmp_path / "steps.onnx")
    session = onnx_file.session(tmp_path / "steps.onnx")
    features = session.run(["features"], {"words": split.inputs(slice(None))})[0]
    assert features.dtype == np.int32
    np.testing.assert_array_equal(features, split.x)


@pytest.mark.parametrize("name", ["words", "dense", "dan"])
def test_padding_counts_for_nothing(name):
    """Where in a text the padding is makes no difference to what reads words in any order."""
    model = network(name)
    front, back = np.zeros((1, LENGTH), np.float32), np.zeros((1, LENGTH), np.float32)
    front[0, :3] = back[0, -3:] = (5, 6, 2999)
    np.testing.assert_allclose(model(front), model(back), atol=1e-6)
    assert np.isfinite(model(np.zeros((1, LENGTH), np.float32))).all()


def test_words_start_as_naive_bayes():
    """Untrained, the odds of the labels are the sum of the words' log ratios, for two labels and for more."""
    x = np.array([[5, 6, 2999, 0, 0, 0, 0, 0]], np.float32)
    logits = np.asarray(network("words")(x))
    np.testing.assert_allclose(logits[0, 1] - logits[0, 0], START[[5, 6, 2999]].sum(), rtol=1e-5)
    start = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
    spec = Spec(SPEC.input, SPEC.output, ("a", "b", "c"), {})
    more = text.model(SimpleNamespace(architecture="words"), spec, start)
    np.testing.assert_allclose(np.asarray(more(x))[0], start[[5, 6, 2999]].sum(axis=0), rtol=1e-5)


def test_dense_is_a_multi_hot_vector_times_a_matrix():
    """The first layer of `dense` gives what a vector with a one for each word gives, without the vector."""
    import keras

    model = network("dense")
    table = next(layer for layer in model.layers if isinstance(layer, keras.layers.Embedding))
    normalised = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    inner = keras.Model(model.input, normalised.input)
    hot = np.zeros((1, ROWS), np.float32)
    hot[0, [5, 6, 2999]] = 1
    found = inner(np.array([[2999, 5, 6, 0, 0, 0, 0, 0]], np.float32))
    np.testing.assert_allclose(found, hot @ table.get_weights()[0], atol=1e-5)
