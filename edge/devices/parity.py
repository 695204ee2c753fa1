"""Does a board compute what this machine computes? Samples, features, scores: the first step that differs is named."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from device.failure import Failure
from device.runtimes import RUNTIMES
from edge.core.errors import UserError
from edge.models.formats import metadata, onnx_file, tflite

# Largest difference allowed, as a share of the largest value: rounding in float, some steps of the scale in int8.
TOLERANCE = {"fp32": 1e-4, "fp16": 1e-2, "int8": 5e-2, "int8_dynamic": 5e-2}


def with_features(model: Path) -> bytes:
    """The model that also gives its features, as ``Runtime.steps`` wants it."""
    if model.suffix == ".onnx":
        return onnx_file.with_features(onnx.load(model)).SerializeToString()
    return tflite.with_features(model)


def identity(suffix: str) -> bytes:
    """A model of one node, float32 [1, 1] to [1, 1], in the format of the suffix."""
    return onnx_identity() if suffix == ".onnx" else tflite.identity()


def onnx_identity() -> bytes:
    """An ONNX model of one Relu."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "identity", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model.SerializeToString()


def compare(model: Path, runtime: str, samples: np.ndarray, outputs: np.ndarray, steps: dict[str, np.ndarray]) -> dict:
    """Largest difference of each step from this machine's, in the unit of the step, and the share of equal answers.

    ``samples`` are this machine's model inputs, float32 [n, *shape]; ``outputs`` the board's scores for them,
    [n, labels]; ``steps`` the board's values of each step for the first rows. Raises UserError with the first step
    that differs.
    """
    allowed = {"samples": 0.0, "features": TOLERANCE["fp32"], "scores": TOLERANCE[quantization(model)]}
    first = len(steps["samples"])
    here = {"samples": samples[:first]} | host_steps(model, runtime, samples[:first])
    host = host_outputs(model, runtime, samples)
    differences = {}
    for step in (step for step in allowed if step in here):
        pairs = [(steps[step], here[step])] + ([(outputs, host)] if step == "scores" else [])
        differences[step] = max(difference(there, local, step) for there, local in pairs)
        largest = max(float(np.abs(local).max()) for _, local in pairs)
        if not differences[step] <= allowed[step] * largest:
            raise UserError(
                f"the board does not compute what this machine computes: the first step that differs is {step!r}, by "
                f"up to {differences[step]:.3g} where values reach {largest:.3g}: try another version in `wheels`"
            )
    return differences | {"agreement": float((outputs.argmax(-1) == host.argmax(-1)).mean())}


def quantization(model: Path) -> str:
    """The scheme that the model's own metadata name; fp32 where they name none."""
    entries = metadata.read(onnx.load(model)) if model.suffix == ".onnx" else tflite.read_metadata(model)
    return entries.get("quantization", "fp32")


def difference(there: np.ndarray, here: np.ndarray, step: str) -> float:
    """Largest absolute difference; infinite where something is no number; raises UserError for another shape."""
    if there.shape != here.shape:
        raise UserError(f"the board's {step} have the shape {there.shape}, this machine's {here.shape}")
    found = np.abs(there.astype(np.float64) - here).max()
    return float(found) if np.isfinite(found) else float("inf")


def host_steps(model: Path, runtime: str, samples: np.ndarray) -> dict[str, np.ndarray]:
    """Each step of the model on this machine; raises UserError."""
    with tempfile.TemporaryDirectory(prefix="edge-") as folder, on_host(model):
        path = Path(folder, f"steps{model.suffix}")
        path.write_bytes(with_features(model))
        rows = [RUNTIMES[runtime].steps(path, samples[row : row + 1]) for row in range(len(samples))]
    return {step: np.concatenate([row[step] for row in rows]) for step in rows[0]}


def host_outputs(model: Path, runtime: str, samples: np.ndarray) -> np.ndarray:
    """Scores of the model on this machine, [n, labels]; raises UserError."""
    with on_host(model):
        session = RUNTIMES[runtime](model, 1)
        return np.concatenate([session.outputs(samples[row : row + 1]) for row in range(len(samples))])


@contextmanager
def on_host(model: Path) -> Iterator[None]:
    """Turns what the device's code raises into UserError."""
    try:
        yield
    except Failure as failure:
        raise UserError(f"{model} on this machine: {failure}") from None
