"""Latency series to a verdict: how much faster or slower the candidate is than the baseline, and how sure that is.

The unit of replication is the process. Where a model lies in memory is drawn anew for each process and then stays
(Mytkowicz et al. 2009, "Producing wrong data without doing anything obviously wrong!"), so a thousand inferences in one
process are one draw. Each process gives one log ratio; the interval is Student's over processes (Kalibera & Jones 2013,
"Rigorous benchmarking in reasonable time").
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from edge.core.errors import UserError

# Samples that a percentile needs: so many that, at 99 % confidence, two of them lie beyond it (Wilks 1941,
# "Determination of sample sizes for setting tolerance limits"). The median is always given.
SAMPLES = {50: 1, 90: 64, 95: 130, 99: 662}

OUTLIER = 3.5  # modified z-score of Iglewicz & Hoaglin 1993, "How to detect and handle outliers"
CONFIDENCE = 0.95
REPEATS = 3  # fewer processes give no interval worth the name
NEIGHBOURS = 10  # runs of a model that lie close in time: one A B B A of device.measure.work
BATCHES = 10  # parts of a soak that stand in for repeats
SMALLEST = 0.005  # a difference that is not surely larger than this share is not called one


@dataclass(frozen=True)
class Comparison:
    """Candidate against baseline as shares, -0.12 is 12 % faster: the estimate and its 95 % interval."""

    change: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Where the whole interval lies beyond SMALLEST, "faster" or "slower", else "undecided".

        An interval that only had to exclude 0 would call equal models different in 5 % of measurements. This is a
        minimum-effect test (Murphy & Myors 1999, "Testing the hypothesis that treatments have negligible effects"): a
        true difference of up to SMALLEST is named in at most 2.5 % of measurements a side, none at all in fewer.
        """
        if self.high < -SMALLEST:
            return "faster"
        return "slower" if self.low > SMALLEST else "undecided"

    @property
    def text(self) -> str:
        """The comparison for a person: "faster by 12 % ± 2", "undecided: slower by 0.3 % ± 0.8".

        An interval whose middle is elsewhere, as a wide one of ratios is, is given by its ends: "slower by 112 % (13 to
        296)".
        """
        half = 50 * (self.high - self.low)
        digits = max(0, -math.floor(math.log10(max(half, 0.01))))
        sign, direction = (-100, "faster") if self.change < 0 else (100, "slower")
        low, high = sorted((sign * self.low, sign * self.high))
        lopsided = abs(low + high - 2 * sign * self.change) > half / 2
        ends = f"({low:.{digits}f} to {high:.{digits}f})" if lopsided else f"± {half:.{digits}f}"
        amount = f"{direction} by {sign * self.change:.{digits}f} % {ends}"
        return amount if self.verdict != "undecided" else f"undecided: {amount}"


def summary(milliseconds: np.ndarray) -> dict[str, float]:
    """Mean, the percentiles that so many samples [n] support, and the share of outliers: counted, not dropped.

    An outlier's modified z-score, 0.6745 (x - median) / MAD, is above 3.5; only slow ones count.
    """
    percentiles = {f"p{q}": float(np.percentile(milliseconds, q)) for q, n in SAMPLES.items() if len(milliseconds) >= n}
    above = milliseconds - np.median(milliseconds)
    outliers = 0.6745 * above > OUTLIER * np.median(np.abs(above))
    return {"mean": float(milliseconds.mean()), "outliers": float(outliers.mean())} | percentiles


def compare(candidate: np.ndarray, baseline: np.ndarray) -> Comparison:
    """Compare latencies [repeats, runs] in any unit, each repeat a process, its runs in the order they were measured.

    A repeat's log ratio is the median, over groups of neighbours in time, of the log ratio of their medians. A ratio of
    whole medians is thrown off by a clock that steps half-way: one model's median falls before the step, the other's
    after it. The estimate is the ratio of the typical latencies, memory layout averaged over processes.
    Raises UserError for fewer than 3 repeats, series of different shape, and latencies that are not above 0.
    """
    check(candidate, baseline)
    if len(candidate) < REPEATS:
        raise UserError(f"{len(candidate)} repeats give no interval: set evaluate_on_device.repeats >= {REPEATS}")
    groups = max(candidate.shape[1] // NEIGHBOURS, 1)
    typical = [
        np.stack([np.median(group, axis=1) for group in np.array_split(np.log(series), groups, axis=1)])
        for series in (candidate, baseline)
    ]
    return interval(np.median(typical[0] - typical[1], axis=0))


def compare_blocks(candidate: np.ndarray, baseline: np.ndarray) -> Comparison:
    """Compare paired blocks [blocks] of a soak, each the median of a model in one A B B A.

    Blocks that follow each other are alike, so the interval is over BATCHES long stretches of them (batch means,
    Schmeiser 1982, "Batch size effects in the analysis of simulation output"). It speaks of this process only: another
    one has another memory layout, which no length of a soak averages out.
    Raises UserError for fewer than 10 blocks, series of different shape, and latencies that are not above 0.
    """
    check(candidate, baseline)
    if len(candidate) < BATCHES:
        raise UserError(f"{len(candidate)} blocks of a soak give no interval: raise evaluate_on_device.soak_minutes")
    ratios = np.log(candidate) - np.log(baseline)
    return interval(np.array([np.median(batch) for batch in np.array_split(ratios, BATCHES)]))


def check(candidate: np.ndarray, baseline: np.ndarray) -> None:
    """Raise UserError where two series cannot be compared."""
    if candidate.shape != baseline.shape:
        raise UserError(f"series of {candidate.shape} and {baseline.shape} latencies cannot be compared: measure again")
    if not (np.all(candidate > 0) and np.all(baseline > 0)):
        raise UserError("a latency is not above 0: the device's clock cannot time this model")


def interval(ratios: np.ndarray) -> Comparison:
    """Mean of independent log ratios [n] with Student's interval, n - 1 degrees of freedom, as shares."""
    count, mean = len(ratios), ratios.mean()
    half = stdtrit(count - 1, (1 + CONFIDENCE) / 2) * ratios.std(ddof=1) / math.sqrt(count)
    return Comparison(*(float(np.expm1(value)) for value in (mean, mean - half, mean + half)))
