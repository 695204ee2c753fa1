"""Reads models and test split, writes metrics/devices/<name>.json and plots/devices/<name>.csv for each device."""

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

import tasks
from edge.core import errors, paths
from edge.core.errors import UserError
from edge.data import shards
from edge.devices import entries, evaluation, figures, parity, turns
from edge.records import measurement, mlflow_store
from edge.records.measurement import Measurement


def evaluate(
    name: str, device: entries.Device, models: tuple[Path, Path], split: shards.Split, config, task
) -> tuple[Measurement, dict[str, np.ndarray]]:
    """What the device measures of candidate and baseline, and the series of inferences; raises UserError.

    ``task.head.score`` judges the outputs here, once they are known to be those of this machine.
    """
    rows = figures.spread(len(split), config.examples)
    counts = (config.warmup, config.runs, config.repeats, config.soak_minutes)
    work = evaluation.Work(*models, np.ascontiguousarray(split.x[rows]), split.input.scale, *counts)
    results = evaluation.evaluate(device, work)
    agreed = parity.compare(task.head, models[0], device.runtime, split.inputs(rows), results.outputs, results.steps)
    scores = task.head.score(split.y[rows], results.outputs)
    return figures.measurement(name, device, work, results, agreed, scores), results.series


def evaluate_device(name: str, split: shards.Split, config, task) -> UserError | None:
    """Evaluate on the device ``name`` and write its files; returns what went wrong.

    After a failure the files are the earlier ones, or, where these are of another model, absent.
    """
    try:
        device = entries.load(name)
        found, series = evaluate(name, device, entries.MODELS[device.runtime], split, config, task)
        measurement.write(found, series)
    except Exception as error:  # noqa: BLE001 - whatever one device does, the others' results stand
        earlier = None
        with suppress(UserError):
            earlier = measurement.read(name)
        if earlier is None:
            measurement.remove(name)
        said = str(error) if isinstance(error, UserError | OSError) else f"{type(error).__name__}: {error}"
        return UserError(f"{name}: {said.removeprefix(f'{name}: ')}", getattr(error, "status", 1))
    print("\n".join(figures.sentences(found)), file=sys.stderr)
    return None


def evaluate_all(names: list[str], split: shards.Split, config, task) -> list[UserError]:
    """Evaluate on the devices; returns what went wrong. Files of devices that are not among ``names`` are removed."""
    failures = turns.run(names, lambda name: evaluate_device(name, split, config, task))
    measurement.keep_only(names)
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
