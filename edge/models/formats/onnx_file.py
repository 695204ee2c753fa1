"""Runs ONNX models on the host; the names of the tensors inside every model."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from edge.data.shards import Split

BATCH = 64
FEATURES = "features"  # what the front end gives the classifier
SCORES = "scores"


def session(model: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """A CPU session; ``threads`` 0 lets ONNX Runtime choose."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def predict(model: Path, split: Split) -> np.ndarray:
    """The first output of ``model`` for every row of ``split``, read a batch at a time: float32 [n, labels]."""
    run = session(model)
    name = run.get_inputs()[0].name
    return np.concatenate([run.run(None, {name: batch})[0] for batch in split.batches(BATCH)])


def with_features(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` that also gives its features, float32; one without such a tensor comes back as it is."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if FEATURES in {name for node in model.graph.node for name in node.output}:
        copy.graph.output.append(onnx.helper.make_tensor_value_info(FEATURES, onnx.TensorProto.FLOAT, None))
    return copy
