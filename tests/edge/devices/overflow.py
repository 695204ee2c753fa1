"""A quantized ONNX model that shows whether a runtime adds products of int8 in 16 bits and overflows."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 16
RIGHT = 100.0  # what every element of the output is for `inputs()`
OPERATORS = (
    ("QuantizeLinear", ["x", "one", "zero"], "x_int8"),
    ("DequantizeLinear", ["x_int8", "one", "zero"], "x_float"),
    ("DequantizeLinear", ["w_int8", "one", "zero"], "w_float"),
    ("Conv", ["x_float", "w_float"], "sum"),
    ("QuantizeLinear", ["sum", "y_scale", "zero"], "y_int8"),
    ("DequantizeLinear", ["y_int8", "one", "zero"], "y"),
)


def model(path: Path) -> Path:
    """Write a float32 model x [1, 16, 4, 4] -> y [1, 16, 4, 4]: a 1 x 1 convolution, int8 by int8, all weights -128.

    With x = -128 two products are 32768, one more than int16 holds: a kernel that adds them there gives -100.
    """
    constants = {
        "one": np.float32(1),
        "zero": np.int8(0),
        "w_int8": np.full((CHANNELS, CHANNELS, 1, 1), -128, np.int8),
        "y_scale": np.float32(CHANNELS * 128 * 128 / RIGHT),
    }
    shape = [1, CHANNELS, 4, 4]
    graph = helper.make_graph(
        [helper.make_node(name, inputs, [output]) for name, inputs, output in OPERATORS],
        "overflow",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def inputs(count: int = 1) -> np.ndarray:
    """The worst case, float32 [count, 16, 4, 4]: all -128."""
    return np.full((count, CHANNELS, 4, 4), -128, np.float32)
