"""Quantization schemes shrink the classifier and leave the front end in float."""

from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.core.errors import UserError
from edge.data.shards import Split, Tensor
from edge.models.compression import schemes
from edge.models.formats import onnx_file

CONFIG = SimpleNamespace(per_channel=True, batch=16)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """waveform [n, 64] -> front end (MatMul, ReLU) -> features -> Conv, Gemm, Softmax -> scores [n, 3]."""
    random = np.random.default_rng(0)
    weights = {
        "dft": random.normal(size=(64, 32)) / 8,
        "kernel": random.normal(size=(4, 1, 3, 3)),
        "dense": random.normal(size=(128, 3)),
    }
    nodes = [
        helper.make_node("MatMul", ["waveform", "dft"], ["spectrum"], "front/matmul"),
        helper.make_node("Relu", ["spectrum"], ["features"], "front/relu"),
        helper.make_node("Reshape", ["features", "image"], ["picture"], "reshape"),
        helper.make_node("Conv", ["picture", "kernel"], ["maps"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["maps", "flat"], ["vector"], "flatten"),
        helper.make_node("Gemm", ["vector", "dense"], ["logits"], "gemm"),
        helper.make_node("Softmax", ["logits"], ["scores"], "softmax"),
    ]
    initializers = [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()]
    initializers.append(numpy_helper.from_array(np.array([-1, 1, 8, 4]), "image"))
    initializers.append(numpy_helper.from_array(np.array([-1, 128]), "flat"))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "toy",
        [value("waveform", TensorProto.FLOAT, ["n", 64])],
        [value("scores", TensorProto.FLOAT, ["n", 3])],
        initializers,
        value_info=[value("features", TensorProto.FLOAT, ["n", 32])],
    )
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


@pytest.fixture(scope="module")
def split():
    x = np.random.default_rng(1).integers(-32768, 32767, (100, 64), dtype=np.int16)
    return Split(x, np.zeros(100, np.int64), Tensor("waveform", (64,), scale=1 / 32768))


@pytest.mark.parametrize("scheme", schemes.SCHEMES)
def test_every_scheme_answers_like_the_original(model, split, scheme, tmp_path):
    """Each scheme writes a valid model that gives nearly the same scores, in float, under the same names."""
    target = tmp_path / "edge.onnx"
    schemes.SCHEMES[scheme](model, target, split, CONFIG)
    onnx.checker.check_model(onnx.load(target), full_check=True)
    assert np.abs(onnx_file.predict(target, split) - onnx_file.predict(model, split)).max() < 0.1


@pytest.mark.parametrize("scheme", schemes.SCHEMES)
def test_the_front_end_stays_in_float(model, split, scheme, tmp_path):
    """The features of a quantized model are those of the original to the last bit."""
    target = tmp_path / "edge.onnx"
    schemes.SCHEMES[scheme](model, target, split, CONFIG)
    features = []
    for path in (model, target):
        opened = onnx.load(path)
        onnx.save(onnx_file.with_steps(opened, "features"), tmp_path / "features.onnx")
        session = onnx_file.session(tmp_path / "features.onnx")
        features.append(session.run(["features"], {"waveform": split.inputs(slice(None))})[0])
    np.testing.assert_array_equal(*features)


def test_int8_weights_are_per_channel_and_qdq(model, split, tmp_path):
    """Static int8 has QuantizeLinear/DequantizeLinear pairs and one scale for each output channel of a convolution."""
    schemes.int8(model, tmp_path / "edge.onnx", split, CONFIG)
    graph = onnx.load(tmp_path / "edge.onnx").graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in graph.node}
    assert [w.size for name, w in weights.items() if name.startswith("kernel") and name.endswith("scale")] == [4]


def test_the_same_calibration_gives_the_same_bytes(model, split, tmp_path):
    """Two runs of static quantization write equal files."""
    for name in ("a", "b"):
        schemes.int8(model, tmp_path / name, split, CONFIG)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("scheme", ["int8", "int8_dynamic", "fp16"])
def test_what_is_after_the_logits_stays_in_float(model, split, scheme, tmp_path):
    """The softmax gives the scores itself, in float: they are not multiples of 1/256."""
    schemes.SCHEMES[scheme](model, tmp_path / "edge.onnx", split, CONFIG)
    graph = onnx.load(tmp_path / "edge.onnx").graph
    assert [node.op_type for node in graph.node if "scores" in node.output] == ["Softmax"]
    steps = onnx_file.predict(tmp_path / "edge.onnx", split) * 256
    assert np.abs(steps - steps.round()).max() > 0.1


@pytest.mark.parametrize("name", ["features", "logits"])
@pytest.mark.parametrize("scheme", ["int8", "int8_dynamic", "fp16"])
def test_a_missing_name_is_an_error(model, split, scheme, name, tmp_path):
    """A model without `features` or `logits` is refused by name: else nothing would be left in float, in silence."""
    (tmp_path / "renamed.onnx").write_bytes(model.read_bytes().replace(name.encode(), b"x" * len(name)))
    with pytest.raises(UserError, match=f"no tensor {name}"):
        schemes.SCHEMES[scheme](tmp_path / "renamed.onnx", tmp_path / "edge.onnx", split, CONFIG)
    assert not (tmp_path / "edge.onnx").exists()


def test_a_front_end_that_fusion_would_fold_away_stays_in_float(split, tmp_path):
    """A scale in front of a convolution is folded into its weights by ONNX Runtime: int8 keeps it apart, in float."""
    kernel = np.random.default_rng(3).normal(size=(4, 1, 3, 3)).astype(np.float32)
    constants = {"gain": np.float32(1 / 16), "kernel": kernel, "image": np.array([-1, 1, 8, 8])}
    nodes = [
        helper.make_node("Reshape", ["waveform", "image"], ["picture"], "reshape"),
        helper.make_node("Mul", ["picture", "gain"], ["features"], "scale"),
        helper.make_node("Conv", ["features", "kernel"], ["logits"], "conv"),
        helper.make_node("Softmax", ["logits"], ["scores"], "softmax"),
    ]
    ends = [helper.make_tensor_value_info(*end) for end in (("waveform", 1, ["n", 64]), ("scores", 1, ["n", 4, 6, 6]))]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "picture", ends[:1], ends[1:], tensors)
    source = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), source)
    schemes.int8(source, tmp_path / "edge.onnx", split, CONFIG)
    quantized = onnx.load(tmp_path / "edge.onnx").graph
    scale = next(node for node in quantized.node if "features" in node.output)
    assert scale.op_type == "Mul" and scale.input[0] == "picture"
