"""Reads models and test split, writes metrics/devices/<name>.json and plots/devices/<name>.csv for each device."""

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np

import tasks
from device.tensors import model_input
from edge.core import errors, files, paths
from edge.core.errors import UserError
from edge.data import shards
from edge.devices import entries, evaluation, parity, statistics
from edge.records import measurement, mlflow_store

ROLES = ("candidate", "baseline")
STARTS = {"load_ms": "load", "first_inference_ms": "first_inference"}


def evaluate(board: entries.Device, models: tuple[Path, Path], split: shards.Split, config, task) -> tuple[dict, dict]:
    """Metrics of the first of ``models`` on the board, and the series of measured inferences; raises UserError.

    The board sends outputs back; what they are worth is ``task.head.score``, on this machine.
    """
    rows = spread(len(split), config.examples)
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
    measured = instructions if "instructions" in results.report else latency
    return metrics | measured(results), results.series


def spread(rows: int, wanted: int) -> np.ndarray:
    """At most ``wanted`` row numbers below ``rows``, evenly spread, the same at each call."""
    return np.linspace(0, rows - 1, min(rows, wanted)).round().astype(int)


def instructions(results: evaluation.Results) -> dict:
    """Guest instructions of an inference: what an emulated board has in place of a latency."""
    counts = results.report["instructions"]
    change = 100 * (counts["candidate"] / counts["baseline"] - 1)
    return {"instructions": counts | {"change_percent": change}}


def latency(results: evaluation.Results) -> dict:
    """Latency and start of both models by number of threads, verdict, memory and the state of the board."""
    report, series = results.report, results.series
    threads, repeats = series["threads"].astype(int), series["repeat"].astype(int)
    milliseconds = series["ms"].astype(float)
    figures = {}
    for count in sorted(set(threads)):
        at = {role: (threads == count) & (series["model"] == role) for role in ROLES}
        by_repeat = {
            role: np.stack([milliseconds[rows & (repeats == repeat)] for repeat in sorted(set(repeats))])
            for role, rows in at.items()
        }
        passes = [one["models"] for one in report["passes"] if one["threads"] == count]
        for role in ROLES:
            starts = {name: float(np.median([one[role][key] for one in passes])) for key, name in STARTS.items()}
            by_role = statistics.summary(by_repeat[role].ravel()) | starts
            figures.setdefault(f"threads_{count}", {})[f"{role}_ms"] = by_role
        figures[f"threads_{count}"] |= verdict(statistics.compare(**by_repeat))
    steady = [one["models"][role]["steady"] for one in report["passes"] for role in ROLES]
    kept = {key: report[key] for key in ("attempts", "peak_memory_mb", "state")}
    return {"latency": figures, "steady": float(np.mean(steady))} | kept | soak(results)


def soak(results: evaluation.Results) -> dict:
    """Verdicts of the first and of the last tenth of a soak, where there was one that was long enough for both."""
    if not results.soak:
        return {}
    blocks = {role: results.soak[f"{role}_ms"].astype(float) for role in ROLES}
    count = len(blocks["candidate"])
    tenth = max(count // 10, statistics.BATCHES)
    found = {"blocks": count, "state": results.report["soak"]}
    if count >= 2 * tenth:
        for name, part in {"start": slice(0, tenth), "end": slice(-tenth, None)}.items():
            found[name] = verdict(statistics.compare_blocks(**{role: blocks[role][part] for role in ROLES}))
    return {"soak": found}


def verdict(comparison: statistics.Comparison) -> dict:
    """A comparison as metrics: numbers, the verdict, and both as a person says it."""
    shares = {f"{key}_percent": 100 * getattr(comparison, key) for key in ("change", "low", "high")}
    return shares | {"verdict": comparison.verdict, "says": comparison.text}


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
    for threads, figures in metrics.get("latency", {}).items():
        print(f"{name}: {threads.replace('_', ' ')}: {figures['says']} than the fp32 model", file=sys.stderr)
    if counts := metrics.get("instructions"):
        change = f"{counts['change_percent']:+.1f} % against the fp32 model"
        print(f"{name}: {counts['candidate']:,.0f} instructions an inference, {change}", file=sys.stderr)
    return None


def failed(name: str, error: Exception) -> UserError:
    """The error of a device, with its name; of one that nobody foresaw, with its type."""
    said = str(error) if isinstance(error, UserError | OSError) else f"{type(error).__name__}: {error}"
    return UserError(f"{name}: {said.removeprefix(f'{name}: ')}", getattr(error, "status", 1))


def evaluate_all(names: list[str], split: shards.Split, config, task) -> list[UserError]:
    """Evaluate on the devices, boards at the same time; returns what went wrong.

    Entries of the same board take turns. So do those of this machine, after the boards: what they measure is not to be
    disturbed. Files of devices that are not among ``names`` are removed.
    """
    boards: dict[tuple[str, str | None], list[str]] = {}
    here = []
    for name in names:
        board = entries.load(name)
        turns = boards.setdefault((board.host, board.ssh_config), []) if isinstance(board, entries.Ssh) else here
        turns.append(name)
    with ThreadPoolExecutor(max(len(boards), 1)) as pool:
        done = pool.map(lambda turns: [one(name, split, config, task) for name in turns], boards.values())
        failures = [failure for group in done for failure in group]
    failures += [one(name, split, config, task) for name in here]
    for folder in (paths.DEVICE_METRICS, paths.DEVICE_PLOTS):
        for path in folder.glob("*"):
            if path.stem not in names:
                files.remove(path)
    return list(filter(None, failures))


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
