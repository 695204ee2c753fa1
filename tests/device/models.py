"""Small ONNX models: float32 [1, size] in, [1, labels] out."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def linear(path: Path, size: int = 6, labels: int = 3, seed: int = 0) -> Path:
    """Write a model ``softmax(x @ weights)`` with weights from ``seed``."""
    weights = np.random.default_rng(seed).normal(size=(size, labels)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["s"]), helper.make_node("Softmax", ["s"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, labels])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def clips(count: int = 70, size: int = 6, seed: int = 1) -> np.ndarray:
    """Stored inputs, int16 [count, size]."""
    return np.random.default_rng(seed).integers(-32768, 32767, (count, size), dtype=np.int16)
