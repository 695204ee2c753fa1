"""Small ONNX models: float32 [1, size] in, [1, labels] out."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.data.shards import Split, Tensor
from edge.devices import entries, evaluation
from edge.heads import Classification

SCALE = 1 / 32768


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


def stack(path: Path, size: int = 6, labels: int = 3, layers: int = 200) -> Path:
    """Write a model of many layers, ``x`` multiplied by one again and again: the same work some hundred times."""
    names = ["x", *(f"x{layer}" for layer in range(layers))]
    nodes = [helper.make_node("Mul", [before, "one"], [after]) for before, after in zip(names, names[1:], strict=False)]
    nodes += [helper.make_node("MatMul", [names[-1], "w"], ["y"])]
    ones = [numpy_helper.from_array(np.full(size, 1.0001, np.float32), "one")]
    ones += [numpy_helper.from_array(np.ones((size, labels), np.float32), "w")]
    ends = [helper.make_tensor_value_info("x", 1, [1, size]), helper.make_tensor_value_info("y", 1, [1, labels])]
    graph = helper.make_graph(nodes, "stack", ends[:1], ends[1:], ones)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def clips(count: int = 70, size: int = 6, seed: int = 1) -> np.ndarray:
    """Stored inputs, int16 [count, size]."""
    return np.random.default_rng(seed).integers(-32768, 32767, (count, size), dtype=np.int16)


def split(x: np.ndarray, y: np.ndarray, scale: float = SCALE) -> Split:
    """A split of stored inputs and labels."""
    return Split(x, y, Tensor("x", x.shape[1:], scale=scale))


TASK = SimpleNamespace(head=Classification())  # all of a task that an evaluation on a device asks


def work(model: Path, baseline: Path | None = None, runs: int = 5, **changes) -> evaluation.Work:
    """Little work: 70 inputs, three repeats."""
    base = {"stored": clips(), "scale": SCALE, "warmup": 2, "runs": runs, "repeats": 3, "soak_minutes": 0}
    return evaluation.Work(model, baseline or model, **base | changes)


def entry(folder: Path, **changes) -> dict:
    """An entry of devices.yaml whose board is ``folder`` on this machine."""
    base = {"transport": "local", "python": sys.executable, "runtime": "onnxruntime", "wheels": None, "threads": 1}
    base |= {"root": str(folder / "board"), "timeout": 120, "limits": {"others": None, "cooldown_s": 0.0}}
    return base | changes


def local(folder: Path, **changes) -> entries.Device:
    """This machine as a board."""
    return entries.Local.model_validate(entry(folder, **changes))


def ssh(folder: Path, config: str, **changes) -> entries.Device:
    """The ssh server that ``config`` calls ``board`` as a board."""
    return entries.Ssh.model_validate(
        entry(folder, **{"transport": "ssh", "host": "board", "ssh_config": config} | changes)
    )
