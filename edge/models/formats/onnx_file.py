"""Runs ONNX models on the host; the names of the tensors inside every model."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from edge.data.shards import Split

BATCH = 64
FEATURES = "features"  # what is before it never changes in training, and stays in float
LOGITS = "logits"  # what is after it turns logits into the answer, and stays in float
SCORES = "scores"


def session(model: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """A CPU session; the number of threads never depends on the processors that this process may use."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def predict(model: Path, split: Split) -> np.ndarray:
    """The first output of ``model`` for every row of ``split``, read a batch at a time: float32 [n, …]."""
    run = session(model)
    name = run.get_inputs()[0].name
    return np.concatenate([run.run(None, {name: batch})[0] for batch in split.batches(BATCH)])


def tensors(model: onnx.ModelProto) -> set[str]:
    """The names of all tensors that the model computes."""
    return {name for node in model.graph.node for name in node.output}


def with_steps(model: onnx.ModelProto, *names: str) -> onnx.ModelProto:
    """A copy of ``model`` that also gives its tensors ``names``, of their own types; absent names are left out."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    known = {info.name: info for info in onnx.shape_inference.infer_shapes(model).graph.value_info}
    there = tensors(model) - {output.name for output in model.graph.output}
    for name in (name for name in names if name in there):
        copy.graph.output.append(
            known.get(name) or onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        )
    return copy
