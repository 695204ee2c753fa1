"""Reads models and test split, writes metrics/devices/<name>.json and plots/devices/<name>.csv for each device."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from edge import device, devices, errors, files, parity, paths, settings, shards, statistics, tracking
from edge.errors import UserError

# What a runtime measures: the model that ships, and the fp32 model of the same run that it is held against.
MODELS = {"onnxruntime": (paths.EDGE, paths.ONNX), "litert": (paths.TFLITE, paths.TFLITE)}


def evaluate(board: devices.Device, models: tuple[Path, Path], split: shards.Split, config, task) -> tuple[dict, dict]:
    """Metrics of the first of ``models`` on the board, and the series of measured inferences; raises UserError.

    The board sends outputs back; what they are worth is ``task.score(labels, outputs)``, on this machine.
    """
    rows = spread(len(split), config.accuracy_clips)
    stored = np.ascontiguousarray(split.x[rows])
    counts = {key: getattr(config, key) for key in ("warmup", "runs", "repeats", "soak_minutes")}
    results = device.evaluate(board, device.Work(*models, stored, split.scale, **counts))
    samples = stored.astype(np.float32) * np.float32(split.scale)
    metrics = {"parity": parity.compare(models[0], board.runtime, samples, results.outputs, results.steps)}
    metrics |= task.score(split.y[rows], results.outputs)
    metrics |= {key: results.report[key] for key in ("board", "model_sha256", "runtime")}
    metrics |= {"transport": board.transport, "accuracy_clips": len(rows), "model": str(models[0])}
    metrics |= {"quantization": parity.quantization(models[0]), "model_bytes": models[0].stat().st_size}
    metrics |= {"baseline_sha256": files.sha256(models[1])}
    if board.wheels:
        metrics["wheels_sha256"] = files.sha256(Path(board.wheels))
    measured = instructions if "instructions" in results.report else latency
    return metrics | measured(results), results.series


def spread(rows: int, wanted: int) -> np.ndarray:
    """At most ``wanted`` row numbers below ``rows``, evenly spread, the same at each call."""
    return np.linspace(0, rows - 1, min(rows, wanted)).round().astype(int)


def instructions(results: device.Results) -> dict:
    """Guest instructions of an inference: what an emulated board has in place of a latency."""
    counts = results.report["instructions"]
    change = 100 * (counts["candidate"] / counts["baseline"] - 1)
    return {"instructions": counts | {"change_percent": change}}


def latency(results: device.Results) -> dict:
    """Latency by number of threads, verdict, start, memory and the state of the board."""
    report, series = results.report, results.series
    threads, repeats = series["threads"].astype(int), series["repeat"].astype(int)
    milliseconds = series["ms"].astype(float)
    figures = {}
    for count in sorted(set(threads)):
        at = {role: (threads == count) & (series["model"] == role) for role in ("candidate", "baseline")}
        by_repeat = {
            role: np.stack([milliseconds[rows & (repeats == repeat)] for repeat in sorted(set(repeats))])
            for role, rows in at.items()
        }
        summaries = {f"{role}_ms": statistics.summary(values.ravel()) for role, values in by_repeat.items()}
        figures[f"threads_{count}"] = summaries | verdict(statistics.compare(**by_repeat))
    starts = {
        key: {role: median(one["models"][role][key] for one in report["passes"]) for role in ("candidate", "baseline")}
        for key in ("load_ms", "first_inference_ms")
    }
    steady = [one["models"][role]["steady"] for one in report["passes"] for role in ("candidate", "baseline")]
    kept = {key: report[key] for key in ("attempts", "peak_memory_mb", "state")}
    return {"latency": figures, "steady": float(np.mean(steady))} | starts | kept | soak(results)


def soak(results: device.Results) -> dict:
    """Verdicts of the first and of the last tenth of a soak, where there was one."""
    if not results.soak:
        return {}
    blocks = {role: results.soak[f"{role}_ms"].astype(float) for role in ("candidate", "baseline")}
    tenth = max(len(blocks["candidate"]) // 10, statistics.BATCHES)
    parts = {"start": slice(0, tenth), "end": slice(-tenth, None)}
    found = {
        name: verdict(statistics.compare_blocks(**{r: b[part] for r, b in blocks.items()}))
        for name, part in parts.items()
    }
    return {"soak": found | {"state": results.report["soak"]}}


def verdict(comparison: statistics.Comparison) -> dict:
    """A comparison as metrics."""
    shares = {key: 100 * getattr(comparison, key) for key in ("change", "low", "high")}
    return {f"{key}_percent": value for key, value in shares.items()} | {"verdict": comparison.verdict}


def median(values) -> float:
    """The median as a plain number."""
    return float(np.median(list(values)))


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


def one(name: str, split: shards.Split, config, task) -> str:
    """Evaluate on the device ``name`` and write its files; returns '' or what went wrong."""
    try:
        board = devices.load(name)
        metrics, series = evaluate(board, MODELS[board.runtime], split, config, task)
        write(name, metrics | {"device": name}, series)
    except (UserError, OSError) as error:
        return f"{name}: {error}"
    return ""


def evaluate_all(names: list[str], split: shards.Split, config, task) -> list[str]:
    """Evaluate on the devices at the same time; returns what went wrong, each with its device's name.

    Files of devices that are not among ``names`` are removed.
    """
    with ThreadPoolExecutor(len(names)) as pool:
        failures = pool.map(lambda name: one(name, split, config, task), names)
    for folder in (paths.DEVICE_METRICS, paths.DEVICE_PLOTS):
        for path in folder.glob("*"):
            if path.stem not in names:
                files.remove(path)
    return list(filter(None, failures))


def main() -> None:
    params, task, config = settings.load()
    for name in params.devices:
        devices.load(name)
    split = shards.load(paths.PREPARED, "test")
    if failures := evaluate_all(params.devices, split, config.evaluate_on_device, task):
        raise UserError("; ".join(failures))
    tracking.record(params, config)


if __name__ == "__main__":
    errors.run(main)
