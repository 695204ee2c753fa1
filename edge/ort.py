"""Runs ONNX models on the host."""

from pathlib import Path

import numpy as np
import onnxruntime

from edge.shards import Split

BATCH = 64


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
