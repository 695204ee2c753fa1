"""Does a board compute what this machine computes? The first of the steps that differs is named.

The steps are samples, features, logits and scores.
"""

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
from edge.heads import Head
from edge.models.formats import metadata, onnx_file, tflite
from edge.records.measurement import Parity

# Largest difference allowed, as a share of the largest value: rounding in float, some steps of the scale in int8.
TOLERANCE = {"fp32": 1e-4, "fp16": 1e-2, "int8": 5e-2, "int8_dynamic": 5e-2}


def with_steps(model: Path) -> bytes:
    """The model that also gives its features and its logits, as ``Runtime.steps`` wants it; raises UserError."""
    names = onnx_file.FEATURES, onnx_file.LOGITS
    with on_host(model):
        if model.suffix == ".onnx":
            return onnx_file.with_steps(onnx.load(model), *names).SerializeToString()
        return tflite.with_steps(model, *names)


def identity(suffix: str) -> bytes:
    """A model of one node, float32 [1, 1] to [1, 1], in the format of the suffix."""
    return onnx_identity() if suffix == ".onnx" else tflite.identity()


def onnx_identity() -> bytes:
    """An ONNX model of one Relu."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "identity", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model.SerializeToString()


def compare(
    head: Head, model: Path, runtime: str, samples: np.ndarray, outputs: np.ndarray, steps: dict[str, np.ndarray]
) -> Parity:
    """Largest difference of each step from this machine's, in the unit of the step, and the agreement of the answers.

    ``samples`` are this machine's model inputs, float32 [n, *shape]; ``outputs`` the board's scores for them, [n, …] as
    ``head`` has them; ``steps`` the board's values of each step for the first rows. Raises UserError with the first
    step that differs.
    """
    scheme = TOLERANCE[quantization(model)]
    allowed = {"samples": 0.0, "features": TOLERANCE["fp32"], "logits": scheme, "scores": scheme}
    first = len(steps["samples"])
    here = {"samples": samples[:first]} | host_steps(model, runtime, samples[:first])
    host = host_outputs(model, runtime, samples)
    differences = {}
    for step in (step for step in allowed if step in here):
        pairs = [(steps[step], here[step])] + ([(outputs, host)] if step == "scores" else [])
        differences[step] = max(difference(head, step, there, local) for there, local in pairs)
        largest = max(float(np.abs(local).max()) for _, local in pairs)
        if not differences[step] <= allowed[step] * largest:
            raise UserError(
                f"the board does not compute what this machine computes: the first step that differs is {step!r}, by "
                f"up to {differences[step]:.3g} where values reach {largest:.3g}: try another version in `wheels`"
            )
    return Parity(**differences, agreement=head.agreement(host, outputs))


def quantization(model: Path) -> str:
    """The scheme that the model's own metadata name, fp32 where they name none; raises UserError."""
    with on_host(model):
        entries = metadata.read(onnx.load(model)) if model.suffix == ".onnx" else tflite.read_metadata(model)
        scheme = entries.get("quantization", "fp32")
    if scheme not in TOLERANCE:
        raise UserError(f"{model}: its metadata name the quantization {scheme!r}: allowed are {', '.join(TOLERANCE)}")
    return scheme


def difference(head: Head, step: str, there: np.ndarray, here: np.ndarray) -> float:
    """Largest difference, of scores as ``head`` has it; infinite where something is no number.

    Raises UserError for another shape.
    """
    if there.shape != here.shape:
        raise UserError(f"the board's {step} have the shape {there.shape}, this machine's {here.shape}")
    if not (np.isfinite(there).all() and np.isfinite(here).all()):
        return float("inf")
    return head.difference(here, there) if step == "scores" else float(np.abs(there.astype(np.float64) - here).max())


def host_steps(model: Path, runtime: str, samples: np.ndarray) -> dict[str, np.ndarray]:
    """Each step of the model on this machine; raises UserError."""
    with tempfile.TemporaryDirectory(prefix="edge-") as folder, on_host(model):
        path = Path(folder, f"steps{model.suffix}")
        path.write_bytes(with_steps(model))
        rows = [RUNTIMES[runtime].steps(path, samples[row : row + 1]) for row in range(len(samples))]
    return {step: np.concatenate([row[step] for row in rows]) for step in rows[0]}


def host_outputs(model: Path, runtime: str, samples: np.ndarray) -> np.ndarray:
    """Scores of the model on this machine, [n, labels]; raises UserError."""
    with on_host(model):
        session = RUNTIMES[runtime](model, 1)
        return np.concatenate([session.outputs(samples[row : row + 1]) for row in range(len(samples))])


@contextmanager
def on_host(model: Path) -> Iterator[None]:
    """Turns what the device's code raises, and what a damaged model makes of its parser, into UserError."""
    try:
        yield
    except Failure as failure:
        raise UserError(f"{model} on this machine: {failure}") from None
    except (UserError, OSError):
        raise
    except Exception as error:
        raise UserError(f"{model} cannot be read: {type(error).__name__}: {error}: run dvc repro") from None
