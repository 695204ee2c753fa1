"""Recurrent layers are one node each in ONNX, and every format and scheme answers like Keras."""

from collections import Counter
from types import SimpleNamespace

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from keras import layers

from edge.data.shards import Spec, Split, Tensor
from edge.models import training
from edge.models.compression import schemes
from edge.models.formats import onnx_export, onnx_file, recurrent, tflite

KINDS = {"LSTM": layers.LSTM, "GRU": layers.GRU}
STEPS, FEATURES, WORDS = 20, 5, 30
SCORES = Tensor("scores", (3,))


def stacked(kind: str, embedded=False, masked=False, sequences=True, backwards=False, steps=STEPS, units=8):
    """A Keras model with two recurrent layers on rows of numbers or on indices of words, no weight of it zero."""
    keras.utils.clear_session()
    training.deterministic(5)
    entry = keras.Input((steps,) if embedded else (steps, FEATURES), name="x")
    x = layers.Identity(name="features")(entry)
    if embedded:
        x = layers.Embedding(WORDS, 8, mask_zero=masked)(x)
    elif masked:
        x = layers.Masking()(x)
    x = KINDS[kind](units, return_sequences=True, go_backwards=backwards)(x)
    x = KINDS[kind](8, return_sequences=sequences)(x)
    x = layers.GlobalAveragePooling1D()(x) if sequences else x
    model = keras.Model(entry, layers.Softmax(name="scores")(layers.Dense(3, name="logits")(x)))
    random = np.random.default_rng(3)
    model.set_weights([random.normal(0, 2.4 / units**0.5, weights.shape) for weights in model.get_weights()])
    return model


def rows(model, count: int = 7) -> Split:
    """Rows of noise, or of words: of the first the end is zero, of the second the start, of the third the middle."""
    random, shape = np.random.default_rng(1), model.input.shape[1:]
    x = random.integers(0, WORDS, (count, *shape)) if len(shape) == 1 else random.normal(size=(count, *shape))
    x[0, 12:], x[1, :6], x[2, 5:9] = 0, 0, 0
    return Split(x.astype(np.float32), np.zeros(count, np.int64), Tensor("x", shape))


def written(model, path):
    """The ONNX model of a Keras model, written to ``path``."""
    spec = Spec(Tensor("x", model.input.shape[1:]), SCORES, ("a", "b", "c"), {})
    onnx_export.to_onnx(model, spec, 18, {"task": "test"}, path)
    return onnx.load(path)


def operators(model: onnx.ModelProto) -> Counter:
    """How often the model has each operator."""
    return Counter(node.op_type for node in model.graph.node)


def loops(path) -> int:
    """How many loops the TFLite file has."""
    read = flatbuffer_utils.read_model(path)
    codes = [flatbuffer_utils.get_builtin_code_from_operator_code(code) for code in read.operatorCodes]
    return [codes[node.opcodeIndex] for node in read.subgraphs[0].operators].count(schema.BuiltinOperator.WHILE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"sequences": False},
        {"embedded": True},
        {"backwards": True},
        {"masked": True},
        {"embedded": True, "masked": True},
        {"embedded": True, "masked": True, "sequences": False, "backwards": True},
        {"steps": 70, "masked": True},
    ],
    ids=lambda form: " ".join(form) or "plain",
)
def test_every_format_answers_like_keras(kind, form, tmp_path):
    """ONNX has a node a layer and takes any batch; masks hold wherever they are; TFLite loops over many steps only."""
    model = stacked(kind, **form)
    split = rows(model)
    expected = model(split.inputs(slice(None)), training=False)
    found = operators(written(model, tmp_path / "model.onnx"))
    assert found[kind] == 2
    assert not {"Loop", "Scan", "If"} & set(found)
    np.testing.assert_allclose(onnx_file.predict(tmp_path / "model.onnx", split), expected, atol=1e-5)
    one = onnx_file.session(tmp_path / "model.onnx").run(None, {"x": split.inputs(slice(2, 3))})[0]
    np.testing.assert_allclose(one, expected[2:3], atol=1e-5)
    spec = Spec(split.input, SCORES, ("a", "b", "c"), {})
    tflite.to_tflite(model, spec, {}, tmp_path / "model.tflite")
    np.testing.assert_allclose(tflite.predict(tmp_path / "model.tflite", split), expected, atol=1e-5)
    assert loops(tmp_path / "model.tflite") == (2 if split.input.shape[0] > recurrent.MOST_STEPS else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_nodes_does_not_grow_with_the_steps(kind, tmp_path):
    """A layer over 200 steps has as many nodes as one over 20, and the model has 10 at most."""
    short, long = (written(stacked(kind, steps=steps), tmp_path / "model.onnx") for steps in (STEPS, 200))
    assert operators(short) == operators(long)
    assert len(long.graph.node) <= 10


@pytest.mark.parametrize(
    "layer",
    [
        layers.LSTM(4, activation="relu"),
        layers.LSTM(4, use_bias=False),
        layers.GRU(4, reset_after=False),
    ],
    ids=["activation", "bias", "reset"],
)
def test_a_layer_that_the_node_cannot_express_still_converts(layer, tmp_path):
    """Other settings than the usual ones go the way of any layer, and answer like Keras."""
    entry = keras.Input((STEPS, FEATURES), name="x")
    x = layer(layers.Identity(name="features")(entry))
    model = keras.Model(entry, layers.Softmax(name="scores")(layers.Dense(3, name="logits")(x)))
    split = rows(model)
    written(model, tmp_path / "model.onnx")
    expected = model(split.inputs(slice(None)), training=False)
    np.testing.assert_allclose(onnx_file.predict(tmp_path / "model.onnx", split), expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("scheme", ["fp16", "int8", "int8_dynamic"])
def test_every_scheme_makes_it_smaller(kind, embedded, scheme, tmp_path):
    """No scheme breaks a masked recurrent model, all make it smaller, and the answers stay."""
    model = stacked(kind, embedded=embedded, masked=True, units=64)
    source, target = tmp_path / "model.onnx", tmp_path / "edge.onnx"
    written(model, source)
    split = rows(model, 64)
    schemes.SCHEMES[scheme](source, target, split, SimpleNamespace(per_channel=True, batch=16))
    assert target.stat().st_size < 0.8 * source.stat().st_size
    kept = kind if scheme == "fp16" or kind == "GRU" else "DynamicQuantizeLSTM"
    assert operators(onnx.load(target))[kept] == 2
    before = onnx_file.predict(source, split)
    after = onnx_file.predict(target, split)
    deviations = [(scores - scores.mean(axis=0)).ravel() for scores in (before, after)]  # all rows get similar scores
    assert np.corrcoef(deviations)[0, 1] > 0.99
    np.testing.assert_allclose(after, before, atol=0.05)


def test_a_layer_features_that_changes_nothing_is_read(tmp_path):
    """What follows the model's input reads `features`, so that a scheme knows where its part begins."""
    graph = written(stacked("GRU"), tmp_path / "model.onnx").graph
    assert [list(node.output) for node in graph.node if "x" in node.input] == [["features"]]


def test_the_model_itself_is_not_changed(tmp_path):
    """Converting leaves the Keras model as it was: its layers are those of Keras, and it still answers."""
    model = stacked("LSTM")
    before = model(rows(model).inputs(slice(None))).numpy()
    written(model, tmp_path / "model.onnx")
    assert sum(type(layer) is layers.LSTM for layer in model.layers) == 2
    np.testing.assert_array_equal(model(rows(model).inputs(slice(None))), before)
