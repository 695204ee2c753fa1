"""Keras to TFLite: builtin operators only, batch norm folded, described; runs TFLite models on the host."""

import json
import re
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from edge.core.errors import UserError
from edge.data.shards import Spec, Split
from edge.models.formats.onnx_file import FEATURES, LOGITS, SCORES

METADATA = "metadata_props"
STEPS = (SCORES, FEATURES, LOGITS)


def to_tflite(model, spec: Spec, metadata: dict[str, str], path: Path) -> None:
    """Write ``model`` to ``path``, [1, *shape] in, ``scores`` [1, …] out.

    The outputs of the layers ``features`` and ``logits`` keep these names inside the graph. The batch is fixed, since
    the CPU kernels want shapes that do not change. The converter freezes the variables itself; by way of a SavedModel
    it takes six times as long. An LSTM or GRU of few steps is unrolled, a longer one stays a loop. Raises UserError
    with the operators that TFLite does not have as builtins.
    """
    import tensorflow as tf  # here, so that metadata are read and models are run without it
    from absl import logging
    from tensorflow.lite.python.convert_phase import ConverterError

    from edge.models.formats import recurrent, steps

    by_name = steps.traced(recurrent.unrolled(model))

    @tf.function(input_signature=[tf.TensorSpec((1, *spec.input.shape), spec.input.dtype, name=spec.input.name)])
    def in_order(x):
        found = by_name(x)
        return tuple(found[name] for name in STEPS)

    logging.set_verbosity(logging.ERROR)  # it warns that this path is not the one by way of a SavedModel
    converter = tf.lite.TFLiteConverter.from_concrete_functions([in_order.get_concrete_function()])
    try:
        converted = flatbuffer_utils.read_model_from_bytearray(converter.convert())
    except ConverterError as error:
        missing = sorted(set(re.findall(r"'(tf\.\w+)' op is neither", str(error)))) or str(error).splitlines()[:1]
        raise UserError(f"TFLite has no builtin operator for {', '.join(missing)}: do without in the task") from None
    graph = converted.subgraphs[0]
    for index, name in zip(graph.outputs, STEPS, strict=True):
        graph.tensors[index].name = name
    graph.outputs = graph.outputs[:1]
    write_metadata(converted, metadata)
    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(converted))


def write_metadata(model: schema.ModelT, entries: dict[str, str]) -> None:
    """Add ``entries`` to the model, in place, as one JSON object under the name that ONNX has for them."""
    text = json.dumps(entries, sort_keys=True).encode()
    model.metadata.append(schema.MetadataT(METADATA, len(model.buffers)))
    model.buffers.append(schema.BufferT(np.frombuffer(text, np.uint8)))


def read_metadata(path: Path) -> dict[str, str]:
    """The entries that ``to_tflite`` wrote into the file; empty for a file that has none."""
    model = schema.Model.GetRootAs(path.read_bytes())
    for entry in map(model.Metadata, range(model.MetadataLength())):
        if entry.Name() == METADATA.encode():
            return json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
    return {}


def with_steps(path: Path, *names: str) -> bytes:
    """The content of a model file that gives its tensors ``names`` after its output; absent names are left out."""
    model = flatbuffer_utils.read_model(path)
    graph = model.subgraphs[0]
    found = {tensor.name: index for index, tensor in enumerate(graph.tensors)}
    wanted = (found.get(name.encode()) for name in names)
    graph.outputs = [*graph.outputs, *(i for i in wanted if i is not None and i not in graph.outputs)]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def identity() -> bytes:
    """The content of a model file of one node, a reshape, float32 [1, 1] to the same: what a call alone costs."""
    code, shape = schema.BuiltinOperator.RESHAPE, [1, 1]
    options = schema.ReshapeOptionsT(shape)
    node = schema.OperatorT(
        inputs=[0], outputs=[1], builtinOptionsType=schema.BuiltinOptions.ReshapeOptions, builtinOptions=options
    )
    tensors = [schema.TensorT(shape=shape, name=name) for name in ("x", "y")]
    model = schema.ModelT(
        version=3,
        operatorCodes=[schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code)],
        subgraphs=[schema.SubGraphT(tensors, inputs=[0], outputs=[1], operators=[node])],
        buffers=[schema.BufferT()],
    )
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def predict(model: Path, split: Split) -> np.ndarray:
    """The output of ``model`` for every row of ``split``, a row at a time: float32 [n, …]."""
    run = Interpreter(model, num_threads=1)
    run.allocate_tensors()
    (source,), (target,) = run.get_input_details(), run.get_output_details()
    scores = []
    for row in split.batches(1):
        run.set_tensor(source["index"], row)
        run.invoke()
        scores.append(run.get_tensor(target["index"]))
    return np.concatenate(scores)
