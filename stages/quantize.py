"""Quantize: reads models/model.onnx and the calibration set, writes models/edge.onnx and metrics/quantize.json."""

import sys
from pathlib import Path

import onnx

import tasks
from edge.core import errors, files, paths
from edge.data import shards
from edge.models.compression import schemes
from edge.models.formats import metadata, onnx_file
from edge.records import git


def quantize(task, scheme: str, config, source: Path, prepared: Path, target: Path, commit: str) -> dict:
    """Write ``target``, the model that ships; returns its scores on the test split against those of ``source``.

    ``commit`` is that of the code. With the scheme fp32 the target is ``source``, byte for byte.
    """
    test = shards.load(prepared, "test")
    with files.atomic(target) as temporary:
        schemes.SCHEMES[scheme](source, temporary, shards.load(prepared, "calibration"), config)
        if scheme != "fp32":
            model = onnx.load(temporary)
            own = {"quantization": scheme, "quantize": config.model_dump(mode="json")}
            own |= {"parent_sha256": files.sha256(source), "git_commit": commit}
            metadata.write(model, metadata.read(onnx.load(source)) | own)
            onnx.checker.check_model(model)
            onnx.save(model, temporary)
        outputs = onnx_file.predict(temporary, test)
    original = onnx_file.predict(source, test)
    scores, before = task.head.score(test.y, outputs), task.head.score(test.y, original)
    return {
        "scores": scores,
        "drop": before[task.head.headline] - scores[task.head.headline],
        "agreement": task.head.agreement(outputs, original),
        "bytes": target.stat().st_size,
        "model_sha256": files.sha256(target),
        "bytes_against_fp32": target.stat().st_size / source.stat().st_size,
    }


def costs(scheme: str, metrics: dict, headline: str, most: float | None) -> list[str]:
    """What ``scheme`` costs that a person did not ask for: more bytes, or more of the headline than ``most``."""
    found = []
    if metrics["bytes_against_fp32"] > 1:
        found.append(f"{scheme} makes the model {metrics['bytes_against_fp32']:.2f} times as large as fp32")
    if most is not None and metrics["drop"] > most:
        found.append(f"{scheme} loses {metrics['drop']:.4f} of {headline}, the config's budget.drop allows {most:g}")
    return found


def main() -> None:
    params, task, config = tasks.selected()
    commit = git.commit("quantize", params.task)
    metrics = quantize(task, params.quant, config.quantize, paths.ONNX, paths.PREPARED, paths.EDGE, commit)
    files.write_json(paths.METRICS / "quantize.json", metrics)
    for cost in costs(params.quant, metrics, task.head.headline, config.budget.drop):
        print(f"warning: {cost}: try another scheme", file=sys.stderr)


if __name__ == "__main__":
    errors.run(main)
