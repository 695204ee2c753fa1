"""Quantization schemes by name, for ONNX models whose front end stays in float."""

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

from edge.data.shards import Split
from edge.models.formats.onnx_file import FEATURES


class Calibration(CalibrationDataReader):
    """Feeds a split to ONNX Runtime a batch at a time, so that memory does not grow with the split."""

    def __init__(self, name: str, split: Split, batch: int):
        self.name, self.batches = name, split.batches(batch)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {self.name: batch}


def front_end(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that the tensor ``features`` is computed from."""
    producers = {name: node for node in model.graph.node for name in node.output}
    found, waiting = {}, [FEATURES]
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None and node.name not in found:
            found[node.name] = node
            waiting.extend(node.input)
    return sorted(found)


def fp32(source: Path, target: Path, calibration: Split, config) -> None:
    """As trained."""
    shutil.copyfile(source, target)


def fp16(source: Path, target: Path, calibration: Split, config) -> None:
    """Weights and activations of the classifier in IEEE half precision; input, front end and output in float."""
    model = onnx.load(source)
    name, scores = model.graph.input[0].name, model.graph.output[0].name
    extractor = onnx.utils.Extractor(model)
    front, classifier = extractor.extract_model([name], [FEATURES]), extractor.extract_model([FEATURES], [scores])
    half = convert_float_to_float16(classifier, keep_io_types=True)
    OnnxModel(half).topological_sort()
    for graph in (front.graph, half.graph):
        del graph.value_info[:]
    only_weights = {f"rename_{part}": False for part in ("nodes", "edges", "inputs", "outputs", "value_infos")}
    front = onnx.compose.add_prefix(front, "front_end/", **only_weights)
    onnx.save(onnx.compose.merge_models(front, half, [(FEATURES, FEATURES)]), target)


def int8(source: Path, target: Path, calibration: Split, config) -> None:
    """Static, QDQ format, int8 weights and activations, min-max calibration on the calibration set."""
    prepared = target.with_suffix(".prepared")
    try:
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        quantize_static(
            prepared,
            target,
            Calibration(model.graph.input[0].name, calibration, config.batch),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=config.per_channel,
            nodes_to_exclude=front_end(model),
        )
    finally:
        prepared.unlink(missing_ok=True)


def int8_dynamic(source: Path, target: Path, calibration: Split, config) -> None:
    """int8 weights; activations are quantized while running, so nothing is calibrated."""
    nodes = front_end(onnx.load(source))
    quantize_dynamic(
        source, target, per_channel=config.per_channel, weight_type=QuantType.QInt8, nodes_to_exclude=nodes
    )


SCHEMES: dict[str, Callable[[Path, Path, Split, object], None]] = {
    scheme.__name__: scheme for scheme in (fp32, fp16, int8, int8_dynamic)
}
