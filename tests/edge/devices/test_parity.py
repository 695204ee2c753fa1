"""The parity chain: what differs between board and host is found, and named by its first step."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge.core.errors import UserError
from edge.devices import parity
from edge.heads import Classification
from edge.records.measurement import Parity
from tests.device.models import SCALE, clips

HEAD = Classification()
SAMPLES = clips().astype(np.float32) * np.float32(SCALE)


@pytest.fixture
def model(tmp_path) -> Path:
    """A model with a front end: features = 2 x, scores = features @ weights."""
    weights = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["features"]),
        helper.make_node("MatMul", ["features", "w"], ["scores"]),
    ]
    ends = [helper.make_tensor_value_info(*end) for end in (("x", 1, ["n", 6]), ("scores", 1, ["n", 3]))]
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.float32(2), "two")]
    graph = helper.make_graph(nodes, "model", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.fixture
def board(model) -> tuple[np.ndarray, dict]:
    """What a board that agrees sends: scores of all rows, and the first rows' steps."""
    first = {"samples": SAMPLES[:8].copy()} | parity.host_steps(model, "onnxruntime", SAMPLES[:8])
    return parity.host_outputs(model, "onnxruntime", SAMPLES), first


def test_agreement_is_zero_at_each_step(model, board):
    """A board that computes the same differs by nothing at samples, features and scores."""
    found = parity.compare(HEAD, model, "onnxruntime", SAMPLES, *board)
    assert found == Parity(samples=0, features=0, scores=0, agreement=1)


def test_rounding_passes_and_is_reported(model, board):
    """A difference of float rounding is no failure, and its size is in the figures."""
    outputs, steps = board
    found = parity.compare(HEAD, model, "onnxruntime", SAMPLES, outputs + np.float32(1e-6), steps)
    assert 0 < found.scores < 1e-5


@pytest.mark.parametrize("step", ("samples", "features", "scores"))
def test_the_first_step_that_differs_is_named(model, board, step):
    """Whatever is wrong from a step on, the step where it begins is the one named."""
    outputs, steps = board
    order = ("samples", "features", "scores")
    for later in order[order.index(step) :]:
        steps[later] = steps[later] + np.float32(0.1)
    with pytest.raises(UserError, match=f"first step that differs is '{step}'"):
        parity.compare(HEAD, model, "onnxruntime", SAMPLES, outputs, steps)


def test_a_wrong_score_in_any_row_is_found(model, board):
    """Scores are compared for all rows, not for the first ones alone."""
    outputs, steps = board
    outputs[-1, 0] += 10
    with pytest.raises(UserError, match="'scores'"):
        parity.compare(HEAD, model, "onnxruntime", SAMPLES, outputs, steps)


@pytest.mark.parametrize("value", (np.nan, np.inf))
def test_what_is_no_number_differs(model, board, value):
    """A NaN or an infinity among the scores is never within the tolerance."""
    outputs, steps = board
    outputs[3, 1] = value
    with pytest.raises(UserError, match="'scores'"):
        parity.compare(HEAD, model, "onnxruntime", SAMPLES, outputs, steps)


def test_another_shape_is_named(model, board):
    """Scores of another shape are an error that shows both."""
    outputs, steps = board
    with pytest.raises(UserError, match=r"\(70, 2\).*\(70, 3\)"):
        parity.compare(HEAD, model, "onnxruntime", SAMPLES, outputs[:, :2], steps)


def test_int8_may_round_by_some_steps(model, board):
    """A model that says it is int8 may differ by a few steps of its scale, but not by a tenth of the range."""
    quantized = onnx.load(model)
    helper.set_model_props(quantized, {"quantization": "int8"})
    onnx.save(quantized, model)
    outputs, steps = board
    largest = np.float32(np.abs(outputs).max())
    assert parity.compare(HEAD, model, "onnxruntime", SAMPLES, outputs + largest * np.float32(0.02), steps).scores > 0
    with pytest.raises(UserError, match="'scores'"):
        parity.compare(HEAD, model, "onnxruntime", SAMPLES, outputs + largest * np.float32(0.1), steps)


def test_agreement_counts_rows(model, board):
    """Agreement is the share of rows with the same largest score."""
    outputs, steps = board
    quantized = onnx.load(model)
    helper.set_model_props(quantized, {"quantization": "int8"})
    onnx.save(quantized, model)
    close = outputs.copy()
    row = np.sort(close, axis=1)
    gap = row[:, -1] - row[:, -2]
    nearest = int(gap.argmin())
    best, second = np.argsort(close[nearest])[[-1, -2]]
    close[nearest, [best, second]] = close[nearest, [second, best]]
    assert parity.compare(HEAD, model, "onnxruntime", SAMPLES, close, steps).agreement == 69 / 70


@pytest.mark.parametrize("name", ["m.onnx", "m.tflite"])
@pytest.mark.parametrize("content", [b"not a model", b"\xff" * 64])
def test_a_damaged_model_is_one_line(tmp_path, name, content):
    """Whatever a damaged file makes of its parser, the error names the file."""
    (tmp_path / name).write_bytes(content)
    for read in (parity.quantization, parity.with_steps):
        with pytest.raises(UserError, match=f"{name} cannot be read: .*run dvc repro"):
            read(tmp_path / name)


@pytest.mark.parametrize(("scheme", "shown"), [(b"\xff\xfe\xfd\xfc", r"b'\xff\xfe\xfd\xfc'"), (b"int2", "'int2'")])
def test_metadata_that_make_no_sense_are_one_line(model, scheme, shown):
    """Metadata that are no UTF-8, or name a scheme that nobody knows."""
    quantized = onnx.load(model)
    helper.set_model_props(quantized, {"quantization": "int8"})
    model.write_bytes(quantized.SerializeToString().replace(b"int8", scheme))
    with pytest.raises(UserError) as caught:
        parity.quantization(model)
    assert f"name the quantization {shown}: allowed are fp32, fp16" in str(caught.value)


def test_features_may_be_indices(tmp_path):
    """Word indices, int32 features, are compared as what they are: equal is zero, another word is found."""
    table = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["x"], ["features"], to=onnx.TensorProto.INT32),
        helper.make_node("Gather", ["table", "features"], ["rows"]),
        helper.make_node("ReduceSum", ["rows", "axis"], ["scores"], keepdims=0),
    ]
    ends = [helper.make_tensor_value_info(*end) for end in (("x", 1, ["n", 4]), ("scores", 1, ["n", 3]))]
    constants = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")]
    graph = helper.make_graph(nodes, "words", ends[:1], ends[1:], constants)
    path, samples = tmp_path / "words.onnx", np.random.default_rng(1).integers(0, 9, (10, 4)).astype(np.float32)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    steps = {"samples": samples[:4]} | parity.host_steps(path, "onnxruntime", samples[:4])
    outputs = parity.host_outputs(path, "onnxruntime", samples)
    assert steps["features"].dtype == np.int32
    assert parity.compare(HEAD, path, "onnxruntime", samples, outputs, steps).features == 0
    steps["features"][0, 0] += 1
    with pytest.raises(UserError, match="first step that differs is 'features'"):
        parity.compare(HEAD, path, "onnxruntime", samples, outputs, steps)
