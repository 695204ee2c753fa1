"""Quantization schemes by name, for ONNX models. What is before ``features`` and after ``logits`` stays in float."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.compose
import onnx.utils
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from edge.core.errors import UserError
from edge.data.shards import Split
from edge.models.formats import onnx_file
from edge.models.formats.onnx_file import FEATURES, LOGITS


class Calibration(CalibrationDataReader):
    """Feeds a split to ONNX Runtime a batch at a time, so that memory does not grow with the split."""

    def __init__(self, name: str, split: Split, batch: int):
        self.name, self.batches = name, split.batches(batch)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {self.name: batch}


def in_float(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes before the tensor ``features`` and after the tensor ``logits``.

    Raises UserError where the model has no tensor of such a name: nothing would be left out, and nobody would know.
    """
    check_named(model)
    producers = {name: node for node in model.graph.node for name in node.output}
    before, waiting = set(), [FEATURES]
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None and node.name not in before:
            before.add(node.name)
            waiting.extend(node.input)
    after, derived = set(), {LOGITS}
    for node in model.graph.node:  # in topological order
        if derived & set(node.input):
            after.add(node.name)
            derived |= set(node.output)
    return sorted(before | after)


def check_named(model: onnx.ModelProto) -> None:
    """Raise UserError where the model computes no ``features`` or no ``logits``."""
    missing = {FEATURES, LOGITS} - onnx_file.tensors(model)
    if missing:
        raise UserError(
            f"the model has no tensor {' and no tensor '.join(sorted(missing))}, so what has to stay in float is not "
            "known: convert the model again"
        )


def fp32(source: Path, target: Path, calibration: Split, config) -> None:
    """As trained."""
    shutil.copyfile(source, target)


def fp16(source: Path, target: Path, calibration: Split, config) -> None:
    """Weights and activations between ``features`` and ``logits`` in IEEE half precision; all else in float."""
    model = onnx.load(source)
    check_named(model)
    steps = [model.graph.input[0].name, FEATURES, LOGITS, model.graph.output[0].name]
    extractor = onnx.utils.Extractor(onnx_file.with_steps(model, FEATURES, LOGITS))
    front, middle, last = (
        extractor.extract_model([start], [end]) for start, end in zip(steps, steps[1:], strict=False)
    )
    half = convert_float_to_float16(middle, keep_io_types=True)
    OnnxModel(half).topological_sort()
    for part in (front, half, last):
        del part.graph.value_info[:]
    only_weights = {f"rename_{part}": False for part in ("nodes", "edges", "inputs", "outputs", "value_infos")}
    front = onnx.compose.add_prefix(front, "before/", **only_weights)
    last = onnx.compose.add_prefix(last, "after/", **only_weights)
    merged = onnx.compose.merge_models(front, half, [(FEATURES, FEATURES)])
    onnx.save(onnx.compose.merge_models(merged, last, [(LOGITS, LOGITS)]), target)


def int8(source: Path, target: Path, calibration: Split, config) -> None:
    """Static, QDQ format, int8 weights and activations, min-max calibration on the calibration set."""
    prepared = target.with_suffix(".prepared")
    try:
        prepare(source, prepared)
        model = onnx.load(prepared)
        quantize_static(
            prepared,
            target,
            Calibration(model.graph.input[0].name, calibration, config.batch),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=config.per_channel,
            nodes_to_exclude=in_float(model),
        )
    finally:
        prepared.unlink(missing_ok=True)


def prepare(source: Path, target: Path) -> None:
    """Write ``source`` as static quantization wants it: shapes inferred, operators fused by ONNX Runtime.

    ``features`` and ``logits`` are outputs meanwhile: fusion drops the name of a tensor that is none, and quantization
    would then find nothing to leave in float.
    """
    model = onnx.load(source)
    check_named(model)
    steps = target.with_suffix(".steps")
    try:
        onnx.save(onnx_file.with_steps(model, FEATURES, LOGITS), steps)
        quant_pre_process(steps, target, skip_symbolic_shape=True)
    finally:
        steps.unlink(missing_ok=True)
    fused = onnx.load(target)
    scores = model.graph.output[0].name
    for output in [output for output in fused.graph.output if output.name != scores]:
        fused.graph.output.remove(output)
        fused.graph.value_info.append(output)
    onnx.save(fused, target)


def int8_dynamic(source: Path, target: Path, calibration: Split, config) -> None:
    """int8 weights; activations are quantized while running, so nothing is calibrated."""
    nodes = in_float(onnx.load(source))
    quantize_dynamic(
        source, target, per_channel=config.per_channel, weight_type=QuantType.QInt8, nodes_to_exclude=nodes
    )


SCHEMES: dict[str, Callable[[Path, Path, Split, object], None]] = {
    scheme.__name__: scheme for scheme in (fp32, fp16, int8, int8_dynamic)
}
