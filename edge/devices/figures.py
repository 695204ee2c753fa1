"""Series of a run to figures: latency by number of threads with verdicts, instructions, a soak's start and end."""

import numpy as np

from edge.devices import evaluation, statistics

ROLES = ("candidate", "baseline")
STARTS = {"load_ms": "load", "first_inference_ms": "first_inference"}


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
