"""Convert: reads models/model.keras, writes it as ONNX and TFLite (fp32), a reference pair and metrics/convert.json."""

from pathlib import Path

import numpy as np
import onnx

import tasks
from edge.core import errors, files, paths
from edge.data import shards
from edge.models.formats import metadata, onnx_file
from edge.records import git


def parity(form: str, keras_scores: np.ndarray, scores: np.ndarray, tolerance: float) -> dict:
    """Largest difference and share of equal answers of two [n, labels] arrays; UserError above ``tolerance``.

    ``form`` names what the Keras model was converted to.
    """
    difference = float(np.abs(keras_scores - scores).max())
    if not difference <= tolerance:
        raise errors.UserError(
            f"{form} and Keras differ by {difference:.2g}, more than convert.tolerance = {tolerance:g}: "
            "the conversion is wrong, or the tolerance is below float32 rounding"
        )
    agreement = float(np.mean(keras_scores.argmax(axis=1) == scores.argmax(axis=1)))
    return {"largest_difference": difference, "agreement": agreement}


def convert(
    config, keras_path: Path, prepared: Path, onnx_path: Path, tflite_path: Path, reference: Path, entries: dict
) -> dict:
    """Write both models and the reference input and output; returns the parity of each on the whole test split."""
    from edge.models import keras_file  # TensorFlow: imported once the settings are known to be right
    from edge.models.formats import onnx_export, tflite

    spec, test = shards.load_spec(prepared), shards.load(prepared, "test")
    model = keras_file.load(keras_path)
    keras_scores = keras_file.predict(model, test)
    with files.atomic(onnx_path) as temporary:
        nodes = onnx_export.to_onnx(model, spec, config.opset, entries, temporary)
        outputs = onnx_file.predict(temporary, test)
        metrics = parity("ONNX", keras_scores, outputs, config.tolerance)
    with files.atomic(tflite_path) as temporary:
        tflite.to_tflite(model, spec, metadata.read(onnx.load(onnx_path)), temporary)
        lite = parity("TFLite", keras_scores, tflite.predict(temporary, test), config.tolerance)
    with files.atomic(reference) as temporary, open(temporary, "wb") as file:
        np.savez(file, **{spec.input: test.inputs(slice(0, 1)), "scores": outputs[:1]})
    lite |= {"bytes": tflite_path.stat().st_size}
    return metrics | {"nodes": nodes, "bytes": onnx_path.stat().st_size, "tflite": lite}


def main() -> None:
    params, task, config = tasks.selected()
    spec = shards.load_spec(paths.PREPARED)
    entries = spec.metadata | {
        "task": params.task,
        "labels": list(spec.labels),
        "input": {"name": spec.input, "shape": ["batch", *spec.shape], "scale": spec.scale},
        "quantization": "fp32",
        "git_commit": git.commit("convert", params.task),
        "data_sha256": git.data_sha256(paths.PREPARED),
        "parent_sha256": files.sha256(paths.KERAS),
        "keras_sha256": files.sha256(paths.KERAS),
        "requirements_sha256": files.sha256(paths.REQUIREMENTS),
        "seed": params.seed,
        "settings": config.model_dump(mode="json", include={"collect", "preprocess", "train", "convert"}),
    }
    written = paths.ONNX, paths.TFLITE, paths.REFERENCE
    metrics = convert(config.convert, paths.KERAS, paths.PREPARED, *written, entries)
    files.write_json(paths.METRICS / "convert.json", metrics)


if __name__ == "__main__":
    errors.run(main)
