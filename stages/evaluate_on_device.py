"""Reads models/edge.onnx and the test split, writes metrics/device.json and plots/latency.csv."""

from pathlib import Path

import numpy as np

from device import runner
from edge import device, errors, files, paths, settings, shards, tracking
from edge.errors import UserError

SAMPLES = {50: 1, 90: 64, 99: 662}  # runs without which a percentile says nothing, at 99 % confidence


def evaluate(board: device.Device, model: Path, split: shards.Split, config, task) -> tuple[dict, np.ndarray]:
    """Metrics of ``model`` on the board, and the latencies [runs] in milliseconds; raises UserError.

    The board sends outputs back; what they are worth is ``task.score(labels, outputs)``, on this machine.
    """
    rows = spread(len(split), config.accuracy_clips)
    stored = np.ascontiguousarray(split.x[rows])
    results = device.evaluate(board, model, stored, split.scale, config.warmup, config.runs)
    milliseconds = results.latencies / 1e6
    report = {key: value for key, value in results.report.items() if key not in ("bundle", "run_id")}
    metrics = task.score(split.y[rows], results.outputs) | report
    metrics |= compare(results.outputs, on_host(model, stored, split.scale))
    metrics |= {
        "accuracy_clips": len(rows),
        "latency_ms": summary(milliseconds),
        "model_bytes": model.stat().st_size,
        "samples": len(milliseconds),
    }
    return metrics, milliseconds


def spread(rows: int, wanted: int) -> np.ndarray:
    """At most ``wanted`` row numbers below ``rows``, evenly spread, the same at each call."""
    return np.linspace(0, rows - 1, min(rows, wanted)).round().astype(int)


def summary(milliseconds: np.ndarray) -> dict[str, float]:
    """Mean and those percentiles that so many samples support."""
    percentiles = {f"p{q}": float(np.percentile(milliseconds, q)) for q, n in SAMPLES.items() if len(milliseconds) >= n}
    return {"mean": float(milliseconds.mean())} | percentiles


def on_host(model: Path, stored: np.ndarray, scale: float) -> np.ndarray:
    """What onnxruntime on this machine makes of the same inputs; raises UserError."""
    try:
        return runner.predict(runner.open_session(model, 1), stored, scale)
    except runner.Failure as failure:
        raise UserError(f"{model} on this machine: {failure}") from None


def compare(outputs: np.ndarray, host: np.ndarray) -> dict[str, float]:
    """Share of rows [n, labels] with the same largest output on board and host, and the largest difference."""
    if outputs.shape != host.shape or not np.isfinite(outputs).all():
        raise UserError(f"the device's outputs {outputs.shape} are not finite numbers of shape {host.shape}")
    return {
        "host_agreement": float((outputs.argmax(-1) == host.argmax(-1)).mean()),
        "host_max_difference": float(np.abs(outputs.astype(np.float64) - host).max()),
    }


def write(metrics: dict, milliseconds: np.ndarray) -> None:
    """Write the plot, then the metrics."""
    with files.atomic(paths.LATENCY) as temporary:
        lines = (f"{run},{value:.6f}\n" for run, value in enumerate(milliseconds))
        temporary.write_text("run,ms\n" + "".join(lines))
    files.write_json(paths.METRICS / "device.json", metrics)


def main() -> None:
    params, task, config = settings.load()
    board = device.load(params.device)
    split = shards.load(paths.PREPARED, "test")
    metrics, milliseconds = evaluate(board, paths.EDGE, split, config.evaluate_on_device, task)
    write(metrics | {"device": params.device}, milliseconds)
    tracking.record(params, config)


if __name__ == "__main__":
    errors.run(main)
