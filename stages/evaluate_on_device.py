"""Reads models and test split, writes metrics/devices/<name>.json and plots/devices/<name>.csv for each device."""

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

import tasks
from device.tensors import model_input
from edge.core import errors, files, paths
from edge.core.errors import UserError
from edge.data import shards
from edge.devices import entries, evaluation, figures, parity, turns
from edge.records import measurement, mlflow_store


def evaluate(board: entries.Device, models: tuple[Path, Path], split: shards.Split, config, task) -> tuple[dict, dict]:
    """Metrics of the first of ``models`` on the board, and the series of measured inferences; raises UserError.

    The board sends outputs back; what they are worth is ``task.head.score``, on this machine.
    """
    rows = figures.spread(len(split), config.examples)
    stored = np.ascontiguousarray(split.x[rows])
    counts = {key: getattr(config, key) for key in ("warmup", "runs", "repeats", "soak_minutes")}
    results = evaluation.evaluate(board, evaluation.Work(*models, stored, split.input.scale, **counts))
    samples = model_input(stored, split.input.scale, split.input.dtype)
    metrics = {"parity": parity.compare(task.head, models[0], board.runtime, samples, results.outputs, results.steps)}
    metrics |= task.head.score(split.y[rows], results.outputs)
    metrics |= {key: results.report[key] for key in ("board", "model_sha256", "runtime")}
    metrics |= {"transport": board.transport, "examples": len(rows), "model": str(models[0])}
    metrics |= {"quantization": parity.quantization(models[0]), "model_bytes": models[0].stat().st_size}
    metrics |= {"baseline_sha256": files.sha256(models[1])}
    if board.wheels:
        metrics["wheels_sha256"] = files.sha256(Path(board.wheels))
    measured = figures.instructions if "instructions" in results.report else figures.latency
    return metrics | measured(results), results.series


def write(name: str, metrics: dict, series: dict[str, np.ndarray]) -> None:
    """Write a device's plot, where there is a series, then its metrics."""
    plot = paths.DEVICE_PLOTS / f"{name}.csv"
    plot.parent.mkdir(parents=True, exist_ok=True)
    if series:
        with files.atomic(plot) as temporary:
            rows = (",".join(row) for row in zip(*series.values(), strict=True))
            temporary.write_text("\n".join((",".join(series), *rows, "")))
    else:
        files.remove(plot)
    files.write_json(paths.DEVICE_METRICS / f"{name}.json", metrics)


def one(name: str, split: shards.Split, config, task) -> UserError | None:
    """Evaluate on the device ``name`` and write its files; returns what went wrong.

    After a failure the metrics are the earlier ones, or, where these are of another model, absent.
    """
    try:
        board = entries.load(name)
        metrics, series = evaluate(board, entries.MODELS[board.runtime], split, config, task)
        write(name, metrics | {"device": name}, series)
    except Exception as error:  # noqa: BLE001 - whatever one board does, the others' results stand
        with suppress(UserError):
            measurement.measured(paths.DEVICE_METRICS / f"{name}.json")
            return failed(name, error)
        files.remove(paths.DEVICE_METRICS / f"{name}.json")
        files.remove(paths.DEVICE_PLOTS / f"{name}.csv")
        return failed(name, error)
    for threads, found in metrics.get("latency", {}).items():
        print(f"{name}: {threads.replace('_', ' ')}: {found['says']} than the fp32 model", file=sys.stderr)
    if counts := metrics.get("instructions"):
        change = f"{counts['change_percent']:+.1f} % against the fp32 model"
        print(f"{name}: {counts['candidate']:,.0f} instructions an inference, {change}", file=sys.stderr)
    return None


def failed(name: str, error: Exception) -> UserError:
    """The error of a device, with its name; of one that nobody foresaw, with its type."""
    said = str(error) if isinstance(error, UserError | OSError) else f"{type(error).__name__}: {error}"
    return UserError(f"{name}: {said.removeprefix(f'{name}: ')}", getattr(error, "status", 1))


def evaluate_all(names: list[str], split: shards.Split, config, task) -> list[UserError]:
    """Evaluate on the devices; returns what went wrong. Files of devices that are not among ``names`` are removed."""
    failures = turns.run(names, lambda name: one(name, split, config, task))
    for folder in (paths.DEVICE_METRICS, paths.DEVICE_PLOTS):
        for path in folder.glob("*"):
            if path.stem not in names:
                files.remove(path)
    return failures


def main() -> None:
    params, task, config = tasks.selected()
    for name in params.devices:
        entries.load(name)
    split = shards.load(paths.PREPARED, "test")
    if failures := evaluate_all(params.devices, split, config.evaluate_on_device, task):
        raise UserError("; ".join(map(str, failures)), failures[0].status)
    mlflow_store.record(params, config)


if __name__ == "__main__":
    errors.run(main)
