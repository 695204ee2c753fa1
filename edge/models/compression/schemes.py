"""Quantization schemes by name, for ONNX models. What is before ``features`` and after ``logits`` stays in float."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
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
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from edge.core.errors import UserError
from edge.data.shards import Split
from edge.models.formats import onnx_file
from edge.models.formats.onnx_file import FEATURES, LOGITS

RECURRENT = ("LSTM", "GRU")


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
    half = convert_float_to_float16(middle, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *RECURRENT])
    store(half, RECURRENT, np.float16)
    for part in (front, half, last):
        del part.graph.value_info[:]
    only_weights = {f"rename_{part}": False for part in ("nodes", "edges", "inputs", "outputs", "value_infos")}
    front = onnx.compose.add_prefix(front, "before/", **only_weights)
    last = onnx.compose.add_prefix(last, "after/", **only_weights)
    merged = onnx.compose.merge_models(front, half, [(FEATURES, FEATURES)])
    onnx.save(onnx.compose.merge_models(merged, last, [(LOGITS, LOGITS)]), target)


def store(model: onnx.ModelProto, kinds: Sequence[str], form: type, excluded: Sequence[str] = ()) -> None:
    """Store the weights of the recurrent nodes of ``kinds`` in ``form``, float16 or int8; the nodes stay in float.

    ONNX Runtime has neither of them in half precision, and no GRU in int8. int8 has a scale for each row of a gate.
    Nodes named in ``excluded`` are left alone.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in [node for node in model.graph.node if node.op_type in kinds and node.name not in excluded]:
        for index, name in enumerate(node.input[:3]):
            if name not in weights:  # the sequence
                continue
            values, inputs = onnx.numpy_helper.to_array(weights[name]), [name]
            operator, how = "Cast", {"to": onnx.TensorProto.FLOAT}
            if form is np.int8:
                operator, how = "DequantizeLinear", {"axis": 1}
                scale = np.maximum(np.abs(values).max(axis=(0, 2)) / 127, np.finfo(np.float32).tiny)
                values = np.round(values / scale[:, None])
                model.graph.initializer.append(onnx.numpy_helper.from_array(scale, f"{name}/scale"))
                inputs.append(f"{name}/scale")
            weights[name].CopyFrom(onnx.numpy_helper.from_array(values.astype(form), name))
            node.input[index] = f"{name}/float"
            model.graph.node.append(
                onnx.helper.make_node(operator, inputs, [node.input[index]], f"{name}/{operator}", **how)
            )
    OnnxModel(model).topological_sort()


def int8(source: Path, target: Path, calibration: Split, config) -> None:
    """Static, QDQ format, int8 weights and activations, min-max calibration on the calibration set.

    Recurrent nodes have no such format. An LSTM is quantized as in ``int8_dynamic``; of a GRU, only
    the weights are int8.
    """
    model = prepared(onnx.load(source))
    excluded = in_float(model)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        if any(node.op_type == "LSTM" and node.name not in excluded for node in model.graph.node):
            lstm = Path(folder, "lstm.onnx")
            quantize_dynamic(
                model, lstm, op_types_to_quantize=["LSTM"], weight_type=QuantType.QInt8, nodes_to_exclude=excluded
            )
            model = onnx.load(lstm)
        quantize_static(
            model,
            target,
            Calibration(model.graph.input[0].name, calibration, config.batch),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=config.per_channel,
            nodes_to_exclude=excluded,
        )
    store_gru(target, excluded)


def store_gru(path: Path, excluded: Sequence[str]) -> None:
    """Store the weights of every GRU of a model file in int8, in place, but of those named in ``excluded``."""
    model = onnx.load(path)
    if any(node.op_type == "GRU" for node in model.graph.node):
        store(model, ["GRU"], np.int8, excluded)
        onnx.save(model, path)


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` as static quantization wants it: shapes inferred, operators fused by ONNX Runtime.

    ``features`` and ``logits`` are outputs meanwhile: fusion drops the name of a tensor that is none, and quantization
    would then find nothing to leave in float.
    """
    with tempfile.TemporaryDirectory() as folder:
        steps, fused = Path(folder, "steps.onnx"), Path(folder, "fused.onnx")
        onnx.save(onnx_file.with_steps(model, FEATURES, LOGITS), steps)
        quant_pre_process(steps, fused, skip_symbolic_shape=True)
        found = onnx.load(fused)
    scores = model.graph.output[0].name
    for output in [output for output in found.graph.output if output.name != scores]:
        found.graph.output.remove(output)
        found.graph.value_info.append(output)
    return found


def int8_dynamic(source: Path, target: Path, calibration: Split, config) -> None:
    """int8 weights; activations are quantized while running, so nothing is calibrated.

    Of a GRU, only the weights are int8.
    """
    model = onnx.load(source)
    excluded = in_float(model)
    quantize_dynamic(
        model, target, per_channel=config.per_channel, weight_type=QuantType.QInt8, nodes_to_exclude=excluded
    )
    store_gru(target, excluded)


SCHEMES: dict[str, Callable[[Path, Path, Split, object], None]] = {
    scheme.__name__: scheme for scheme in (fp32, fp16, int8, int8_dynamic)
}
