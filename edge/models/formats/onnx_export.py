"""Keras to ONNX: tf2onnx, batch norm folded, checked, described."""

import logging
import tempfile
from pathlib import Path

import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx

from edge.core.errors import UserError
from edge.data.shards import Spec
from edge.models.formats import metadata, recurrent, steps
from edge.models.formats.onnx_file import FEATURES, SCORES


def to_onnx(model, spec: Spec, opset: int, entries: dict, path: Path) -> int:
    """Write ``model`` to ``path``, [batch, *shape] in, ``scores`` [batch, …] out. Returns the node count.

    The outputs of the layers ``features`` and ``logits`` keep these names inside the graph, so that later steps find
    what stays in float. ONNX Runtime's basic optimizations fold batch norm into the convolutions; all operators stay
    standard. Raises UserError where the model has no such layer, or would need a second input.
    """
    logging.getLogger("tf2onnx.shape_inference").setLevel(logging.ERROR)  # it warns of outputs that nothing reads
    signature = [tf.TensorSpec((None, *spec.input.shape), spec.input.dtype, name=spec.input.name)]
    traced = tf.function(steps.traced(recurrent.marked(model)), input_signature=signature)
    converted, _ = tf2onnx.convert.from_function(traced, signature, opset=opset, custom_op_handlers=recurrent.HANDLERS)
    kept_outside = [tensor.name for tensor in converted.graph.input[1:]]
    if kept_outside:
        raise UserError(
            f"the model keeps constants outside of its graph ({kept_outside[0]}), as keras.layers.Normalization does: "
            "make them inside the layer's call, or take keras.layers.Rescaling"
        )
    folded = fold(converted)
    for output in [o for o in folded.graph.output if o.name != SCORES]:
        folded.graph.output.remove(output)
        folded.graph.value_info.append(output)
    read_features(folded.graph)
    name_constants(folded.graph)
    name_batch(folded.graph)
    folded.graph.name = entries["task"]
    folded.producer_name, folded.producer_version, folded.doc_string = "tf2onnx", tf2onnx.__version__, ""
    metadata.write(folded, entries)
    onnx.checker.check_model(folded, full_check=True)
    onnx.save(folded, path)
    return len(folded.graph.node)


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constant folding and operator fusion (batch norm into Conv) by ONNX Runtime, to standard operators only."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = f"{folder}/folded.onnx"
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def read_features(graph: onnx.GraphProto) -> None:
    """Let all nodes read ``features`` where it is the model's input itself: folding lets them read the input."""
    entry = graph.input[0].name
    for same in [node for node in graph.node if (node.op_type, *node.input) == ("Identity", entry)]:
        if same.output[0] == FEATURES:
            graph.node.remove(same)
            for node in graph.node:
                for index, name in enumerate(node.input):
                    node.input[index] = FEATURES if name == entry else name
            graph.node.insert(0, same)


def name_constants(graph: onnx.GraphProto) -> None:
    """Name and order the constants after the node and the input that first use them: tf2onnx numbers them at random."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    names: dict[str, str] = {}
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in constants:
                node.input[index] = names.setdefault(name, f"{node.name}/constant_{index}")
    del graph.initializer[:]
    for old, new in names.items():
        constants[old].name = new
        graph.initializer.append(constants[old])


def name_batch(graph: onnx.GraphProto) -> None:
    """Call the first dimension of inputs and outputs `batch`: tf2onnx numbers unknown sizes, at random."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        size = value.type.tensor_type.shape.dim[0]
        if not size.HasField("dim_value"):
            size.dim_param = "batch"
