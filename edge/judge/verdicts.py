"""What differs between two runs for whoever uses the model: headline, size, latency or instructions, with verdicts."""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from edge.core import paths
from edge.devices import statistics
from edge.judge.report.page import NONE, interval, number, percent
from edge.judge.report.revisions import Revision, same
from edge.records.measurement import Latency, Measurement

Z = 1.959964  # of a normal distribution, two sides, 95 %
BOARD = ("board", "runtime", "wheels_sha256")  # equal where instructions can be compared
SETTING = (*BOARD, "baseline_sha256")  # and latencies


class Change(NamedTuple):
    """A line of the answer; ``verdict`` is a word of page.TONES."""

    what: str
    before: str
    after: str
    change: str
    verdict: str


def score(before: Revision, after: Revision) -> Change:
    """The headline of the model that ships, on the whole test split; the interval is of how right the examples are.

    The interval is paired where both gave answers to the same examples. It is of two independent samples where the
    examples differ, or where only the headline of ``before`` is known and the headline is a share of right examples:
    then wider than it could be.
    """
    name = after.head.headline if after.head else "score"
    values = [headline(side, name) for side in (before, after)]
    shown = [NONE if value is None else percent(value) for value in values]
    if None in values:
        return Change(name, *shown, NONE, "undecided")
    points = f"{100 * (values[1] - values[0]):+.1f} points"
    data = same(before, after, paths.PREPARED)
    if not data and not comparable(before, after):
        return Change(name, *shown, f"{points}, not comparable: another task, or other labels", "undecided")
    if data and same(before, after, paths.EDGE):
        return Change(name, *shown, points, "same")
    ends = limits(before, after, values, data)
    if ends is None:
        return Change(name, *shown, f"{points}, no interval: model or examples are absent", "undecided")
    low, high = ends
    verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
    whose = "" if share(after.answers.right) else "examples right: "
    return Change(name, *shown, f"{points} ({whose}{100 * low:+.1f} to {100 * high:+.1f})", verdict)


def limits(before: Revision, after: Revision, values: list[float], data: bool) -> tuple[float, float] | None:
    """The 95 % interval of the difference; ``data``: the examples are the same. None where it is unknown."""
    if not after.answers or not (before.answers or data):
        return None
    if data and before.answers:
        return paired(before.answers.right, after.answers.right)
    if before.answers and not (share(before.answers.right) and share(after.answers.right)):
        return welch(before.answers.right, after.answers.right)
    if not share(after.answers.right):
        return None
    sizes = [len(side.answers.right) for side in (before if before.answers else after, after)]
    return independent(*zip(values, sizes, strict=True))


def comparable(before: Revision, after: Revision) -> bool:
    """Whether both runs answer the same question: the same task, and labels that are known and the same."""
    task = f"{paths.PARAMS}:task"
    labels = before.labels is not None and before.labels == after.labels
    return labels and before.params.get(task) == after.params.get(task)


def headline(side: Revision, name: str) -> float | None:
    """The headline from the answers, or from metrics/quantize.json where they are absent."""
    return side.answers.score if side.answers else side.metrics.get("quantize", {}).get("scores", {}).get(name)


def share(right: np.ndarray) -> bool:
    """Whether each example is right or wrong, with nothing between."""
    return bool(np.isin(right, (0, 1)).all())


def paired(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean difference of how right the same examples are, float64 [n] each, 0 to 1.

    Where each example is right or wrong, Wald's with 1/2 added to each cell (Agresti & Min 2005, "Simple improved
    confidence intervals for comparing matched proportions"); else Student's of the differences.
    """
    if not (share(before) and share(after)):
        gaps = after - before
        half = stdtrit(len(gaps) - 1, 0.975) * gaps.std(ddof=1) / math.sqrt(len(gaps))
        return float(gaps.mean() - half), float(gaps.mean() + half)
    before, after = before > 0, after > 0
    count = len(after) + 2
    gained, lost = (after & ~before).sum() + 0.5, (before & ~after).sum() + 0.5
    middle = (gained - lost) / count
    half = Z * math.sqrt(gained + lost - count * middle**2) / count
    return float(middle - half), float(middle + half)


def welch(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the difference of the means of two independent samples (Welch 1947)."""
    errors = [values.var(ddof=1) / len(values) for values in (before, after)]
    parts = [error**2 / (len(values) - 1) for error, values in zip(errors, (before, after), strict=True)]
    middle = after.mean() - before.mean()
    if sum(errors) == 0:
        return float(middle), float(middle)
    half = stdtrit(sum(errors) ** 2 / sum(parts), 0.975) * math.sqrt(sum(errors))
    return float(middle - half), float(middle + half)


def independent(before: tuple[float, int], after: tuple[float, int]) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares, each with its count of examples.

    Wald's, with a right and a wrong answer added to each (Agresti & Caffo 2000, "Simple and effective confidence
    intervals for proportions and differences of proportions result from adding two successes and two failures").
    """
    shares = [((share * count + 1) / (count + 2), count + 2) for share, count in (before, after)]
    middle = shares[1][0] - shares[0][0]
    half = Z * math.sqrt(sum(share * (1 - share) / count for share, count in shares))
    return middle - half, middle + half


def size(before: Revision, after: Revision) -> Change:
    """Bytes of the model that ships; a difference below 0.5 % is none."""
    values = [side.outputs.get(str(paths.EDGE), {}).get("size") for side in (before, after)]
    return counted("model size", values, " bytes", ("smaller", "larger"))


def counted(what: str, values: list[int | None], unit: str, words: tuple[str, str]) -> Change:
    """A change of counts, which have no noise."""
    shown = [NONE if value is None else number(value) + unit for value in values]
    if None in values:
        return Change(what, *shown, NONE, "undecided")
    share = values[1] / values[0] - 1
    verdict = "same" if abs(share) < statistics.SMALLEST else words[share > 0]
    return Change(what, *shown, f"{100 * share:+.1f} %", verdict)


def on_device(name: str, before: Revision, after: Revision) -> list[Change]:
    """Latency of an inference at the number of threads that is fastest now, or instructions."""
    now, then = after.devices[name], before.devices.get(name)
    if now.latency:
        threads = min(now.latency, key=lambda count: now.latency[count].candidate_ms.p50)
        shown = [NONE if side is None else f"{number(side.candidate_ms.p50)} ms" for side in at(threads, then, now)]
        return [Change(f"latency on {name} ({spelled(threads)})", *shown, *since(then, now, threads))]
    values = [side.instructions.candidate if side and side.instructions else None for side in (then, now)]
    change = counted(f"instructions on {name}", values, "", ("fewer", "more"))
    if None not in values and differ(then, now, BOARD):
        change = change._replace(change=f"{change.change}: another board or runtime", verdict="undecided")
    return [change]


def at(threads: str, *sides: Measurement | None) -> list[Latency | None]:
    """The latency at a number of threads of each side; None where a side has none."""
    return [side.latency.get(threads) if side and side.latency else None for side in sides]


def since(then: Measurement | None, now: Measurement, threads: str) -> tuple[str, str]:
    """Change of the candidate's latency between two runs, and the verdict.

    Two runs are not measured in turns. Where both were held against the same fp32 model on the same board, the
    comparison goes through it: log ratios are subtracted, half widths added as squares (Bucher et al. 1997, "The
    results of direct and indirect treatment comparisons"). Elsewhere medians are given, without a verdict.
    """
    old, new = at(threads, then, now)
    if old is None:
        return NONE, "undecided"
    if differ(then, now, SETTING):
        share = new.candidate_ms.p50 / old.candidate_ms.p50 - 1
        return f"{100 * share:+.1f} % of the median, no interval: another fp32 model, board or runtime", "undecided"
    if then.model_sha256 == now.model_sha256:
        return "the same model", "same"
    middle = math.log1p(new.change_percent / 100) - math.log1p(old.change_percent / 100)
    widths = [math.log1p(side.high_percent / 100) - math.log1p(side.low_percent / 100) for side in (old, new)]
    half = math.hypot(*widths) / 2
    found = statistics.Comparison(*(math.expm1(middle + side * half) for side in (0, -1, 1)))
    return interval(found.change, found.low, found.high), found.verdict


def differ(then: Measurement, now: Measurement, fields: tuple[str, ...]) -> bool:
    """Whether two measurements have other values of any of ``fields``."""
    return any(getattr(then, field) != getattr(now, field) for field in fields)


def spelled(threads: str) -> str:
    """The key of a number of threads, such as threads_2, in words."""
    count = threads.removeprefix("threads_")
    return f"{count} thread" if count == "1" else f"{count} threads"
