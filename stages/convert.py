"""Convert: reads the Keras model, its decision and data/enrolled, writes ONNX, TFLite, a reference and its metrics."""

import json
from pathlib import Path

import numpy as np
import onnx

import tasks
from edge.core import errors, files, paths
from edge.data import enrolled, shards
from edge.models.formats import metadata, onnx_file
from edge.records import git


def parity(head, form: str, keras_scores: np.ndarray, scores: np.ndarray, tolerance: float) -> dict:
    """Largest difference and agreement of two arrays of outputs, as ``head`` has them; UserError above ``tolerance``.

    ``form`` names what the Keras model was converted to.
    """
    difference = head.difference(keras_scores, scores)
    if not difference <= tolerance:
        raise errors.UserError(
            f"{form} and Keras differ by {difference:.2g}, more than convert.tolerance = {tolerance:g}: "
            "the conversion is wrong, or the tolerance is below float32 rounding"
        )
    return {"largest_difference": difference, "agreement": head.agreement(keras_scores, scores)}


def convert(task, config, model, spec: shards.Spec, prepared: Path, entries: dict, written: tuple) -> dict:
    """Write ``model`` as ONNX and as TFLite, and a reference input and output, to the three paths of ``written``.

    ``entries`` are the metadata of both models. Returns the parity of each on the whole test split.
    """
    from edge.models import keras_file
    from edge.models.formats import onnx_export, tflite

    test, (onnx_path, tflite_path, reference) = shards.load(prepared, "test"), written
    keras_scores = keras_file.predict(model, test)
    with files.atomic(onnx_path) as temporary:
        nodes = onnx_export.to_onnx(model, spec, config.opset, entries, temporary)
        outputs = onnx_file.predict(temporary, test)
        metrics = parity(task.head, "ONNX", keras_scores, outputs, config.tolerance)
    with files.atomic(tflite_path) as temporary:
        tflite.to_tflite(model, spec, metadata.read(onnx.load(onnx_path)), temporary)
        lite = parity(task.head, "TFLite", keras_scores, tflite.predict(temporary, test), config.tolerance)
    with files.atomic(reference) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{spec.input.name: test.inputs(slice(0, 1)), spec.output.name: outputs[:1]})
    lite["bytes"] = tflite_path.stat().st_size
    return metrics | {"nodes": nodes, "bytes": onnx_path.stat().st_size, "tflite": lite}


def main() -> None:
    params, task, config = tasks.selected()
    spec = shards.load_spec(paths.PREPARED)
    new = enrolled.read(paths.ENROLLED / params.task, spec, task.read_example, config.preprocess)
    from edge.models import enrolment  # TensorFlow: imported once the settings are known to be right

    model, spec, own, found = enrolment.opened(task, config, paths.KERAS, paths.PREPARED, new, params.seed)
    entries = spec.entries() | (own or json.loads(paths.DECISION.read_text(encoding="utf-8")))
    entries |= {"task": params.task, "quantization": "fp32", "seed": params.seed}
    entries |= {
        "git_commit": git.commit("convert", params.task),
        "data_sha256": git.data_sha256(paths.PREPARED),
        **dict.fromkeys(("parent_sha256", "keras_sha256"), files.sha256(paths.KERAS)),
        "requirements_sha256": files.sha256(paths.REQUIREMENTS),
        "settings": config.model_dump(mode="json", include={"collect", "preprocess", "train", "convert"}),
    }
    written = paths.ONNX, paths.TFLITE, paths.REFERENCE
    metrics = convert(task, config.convert, model, spec, paths.PREPARED, entries, written)
    files.write_json(paths.METRICS / "convert.json", metrics | found)


if __name__ == "__main__":
    errors.run(main)
