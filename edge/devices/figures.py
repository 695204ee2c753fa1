"""A checked run to a Measurement: latency by number of threads with verdicts, instructions, a soak's start and end."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from edge.core import files, settings
from edge.core.errors import UserError
from edge.devices import entries, parity, statistics
from edge.devices.evaluation import Work
from edge.devices.results import SERIES, Report, Results, Start
from edge.records.measurement import Instructions, Latency, Measurement, Parity, Soak, State, Timing, Verdict

ROLES = ("candidate", "baseline")


def spread(rows: int, wanted: int) -> np.ndarray:
    """At most ``wanted`` row numbers below ``rows``, evenly spread, the same at each call."""
    return np.linspace(0, rows - 1, min(rows, wanted)).round().astype(int)


def measurement(
    name: str, device: entries.Device, work: Work, results: Results, agreed: Parity, scores: dict[str, float]
) -> Measurement:
    """What the device ``name`` measured; raises UserError that names the figure which cannot be."""
    report = results.report
    try:
        counted = report.instructions is not None
        return Measurement(
            device=name,
            transport=device.transport,
            model=str(work.candidate),
            model_sha256=report.model_sha256,
            model_bytes=work.candidate.stat().st_size,
            baseline_sha256=files.sha256(work.baseline),
            quantization=parity.quantization(work.candidate),
            runtime=report.runtime,
            wheels_sha256=files.sha256(Path(device.wheels)) if device.wheels else None,
            board=report.board,
            examples=len(work.stored),
            scores=scores,
            parity=agreed,
            instructions=instructions(report) if counted else None,
            latency=None if counted else latencies(results),
            peak_memory_mb=report.peak_memory_mb,
            state=report.state,
            steady=None if counted else steady(report),
            attempts=report.attempts,
            soak=soak(results),
        )
    except ValidationError as error:
        raise UserError(f"the results cannot be right: {error.title}: {settings.first_error(error)}") from None


def instructions(report: Report) -> Instructions:
    """Guest instructions of an inference: what an emulated board has in place of a latency."""
    counts = report.instructions
    change = 100 * (counts.candidate / counts.baseline - 1)
    return Instructions(candidate=counts.candidate, baseline=counts.baseline, change_percent=change)


def latencies(results: Results) -> dict[str, Latency]:
    """Latency and start of both models by number of threads, with verdicts; raises UserError."""
    series = results.series
    if not series:
        raise UserError(f"{SERIES} is missing: the board measured no latency")
    threads = series["threads"].astype(int)
    found = {}
    for count in sorted(set(threads)):
        at_count = {name: column[threads == count] for name, column in series.items()}
        milliseconds = {role: by_repeat(at_count, role) for role in ROLES}
        starts = [one.models for one in results.report.passes if one.threads == count]
        if not starts:
            raise UserError(f"{SERIES}: no pass has {count} threads")
        comparison = verdict(statistics.compare(**milliseconds))
        timings = {
            f"{role}_ms": timing(milliseconds[role].ravel(), [getattr(both, role) for both in starts]) for role in ROLES
        }
        found[f"threads_{count}"] = Latency(**timings, **asdict(comparison))
    return found


def by_repeat(series: dict[str, np.ndarray], role: str) -> np.ndarray:
    """Milliseconds [repeats, runs] of a model, each repeat a process; raises UserError where repeats are not alike."""
    own = series["model"] == role
    repeats, milliseconds = series["repeat"][own].astype(int), series["ms"][own].astype(float)
    rows = [milliseconds[repeats == repeat] for repeat in sorted(set(repeats))]
    if not rows or len({len(row) for row in rows}) > 1:
        raise UserError(f"{SERIES}: the repeats of the {role} do not have the same number of inferences")
    return np.stack(rows)


def timing(milliseconds: np.ndarray, starts: list[Start]) -> Timing:
    """The figures of inferences [n] and of the starts of one model: medians over the starts."""
    load = float(np.median([start.load_ms for start in starts]))
    first = float(np.median([start.first_inference_ms for start in starts]))
    return Timing(**statistics.summary(milliseconds), load=load, first_inference=first)


def steady(report: Report) -> float:
    """Share of the warm-ups that settled."""
    warm_ups = [start for one in report.passes for start in (one.models.candidate, one.models.baseline)]
    return float(np.mean([start.steady for start in warm_ups]))


def soak(results: Results) -> Soak | None:
    """Verdicts of the first and of the last tenth of a soak, where there was one that was long enough for both."""
    if not results.soak:
        return None
    blocks = {role: results.soak[f"{role}_ms"].astype(float) for role in ROLES}
    count = len(blocks["candidate"])
    tenth = max(count // 10, statistics.BATCHES)
    start = end = None
    if count >= 2 * tenth:
        start = verdict(statistics.compare_blocks(**{role: series[:tenth] for role, series in blocks.items()}))
        end = verdict(statistics.compare_blocks(**{role: series[-tenth:] for role, series in blocks.items()}))
    return Soak(blocks=count, state=results.report.soak or State(), start=start, end=end)


def verdict(comparison: statistics.Comparison) -> Verdict:
    """A comparison in percent, the verdict, and both as a person says it."""
    return Verdict(
        change_percent=100 * comparison.change,
        low_percent=100 * comparison.low,
        high_percent=100 * comparison.high,
        verdict=comparison.verdict,
        says=comparison.text,
    )


def sentences(found: Measurement) -> list[str]:
    """What was found, for a person: a line for each number of threads, or one of instructions."""
    if found.instructions:
        change = f"{found.instructions.change_percent:+.1f} % against the fp32 model"
        return [f"{found.device}: {found.instructions.candidate:,.0f} instructions an inference, {change}"]
    return [
        f"{found.device}: {threads.replace('_', ' ')}: {latency.says} than the fp32 model"
        for threads, latency in found.latency.items()
    ]
