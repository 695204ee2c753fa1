"""The verdict holds where latencies are as unruly as on a board."""

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.devices import statistics

TRIALS = 1000
RUNS = 100  # of each model in a process
BLOCK = 5
ABBA = np.repeat([True, False, False, True, False, True, True, False], BLOCK)  # True: the candidate's turn
INTERLEAVED = np.tile(ABBA, 2 * RUNS // len(ABBA))
SEQUENTIAL = np.repeat([True, False], RUNS)


def correlated(rng, shape: tuple[int, ...], deviation: float, memory: float) -> np.ndarray:
    """Autoregressive noise of ``shape``, time last: each value keeps ``memory`` of the one before."""
    noise = rng.normal(0, deviation, (shape[-1], *shape[:-1]))
    noise[1:] *= np.sqrt(1 - memory**2)
    for before, now in zip(noise[:-1], noise[1:], strict=True):
        now += memory * before
    return np.moveaxis(noise, 0, -1)


def measurements(rng, change: float, repeats: int, step: str = "once") -> tuple[np.ndarray, np.ndarray]:
    """Candidate and baseline, [TRIALS, repeats, RUNS] each, whose medians differ by ``change`` and by memory layout.

    Log latency is the sum of: a layout effect of each model in each process (1 %), and one of the process (3 %); a
    board that heats up (10 % over the processes, 5 % in each); a clock that steps down by 20 %, once or near the middle
    of each process; noise that lasts (2 %); skewed noise, the baseline's twice the candidate's; and 2 % of outliers,
    half of them above twice the latency.
    """
    shape = (TRIALS, repeats, len(INTERLEAVED))
    ends, now = (TRIALS, repeats, 1), np.arange(shape[-1])
    log = rng.normal(0, 0.03, ends) + np.linspace(0, 0.1, repeats)[:, None] + 0.05 * now / len(now)
    if step == "once":
        log += 0.2 * (
            now + len(now) * np.arange(repeats)[:, None] > rng.integers(repeats * len(now), size=(TRIALS, 1, 1))
        )
    else:
        log += 0.2 * (now > rng.normal(len(now) / 2, len(now) / 20, ends))
    log += correlated(rng, shape, 0.02, 0.9)
    log += np.where(INTERLEAVED, 0.02, 0.04) * (rng.standard_exponential(shape) - np.log(2))
    log += (rng.random(shape) < 0.02) * rng.standard_exponential(shape)
    candidate = log[..., INTERLEAVED] + rng.normal(np.log1p(change), 0.01, ends)
    return np.exp(candidate), np.exp(log[..., ~INTERLEAVED] + rng.normal(0, 0.01, ends))


def share(conditions) -> float:
    """How many of the conditions are true, as a share."""
    return float(np.mean(list(conditions)))


def covered(results: list[statistics.Comparison], change: float) -> float:
    """Share of the intervals that hold the true change."""
    return share(result.low <= change <= result.high for result in results)


@pytest.mark.parametrize("step", ["once", "in the middle"])
@pytest.mark.parametrize("repeats", [5, 10])
@pytest.mark.parametrize("change", [0, 0.02, -0.12])
def test_the_interval_covers_the_truth(change, repeats, step):
    """A 95 % interval covers the true difference in 93 to 97 % of measurements; the verdict is never the wrong way."""
    rng = np.random.default_rng([repeats, int(1000 * abs(change)), len(step)])
    results = list(map(statistics.compare, *measurements(rng, change, repeats, step)))
    assert 0.93 <= covered(results, change) <= 0.97
    named = share(result.verdict != "undecided" for result in results)
    wrong = share(result.verdict == ("faster" if change > 0 else "slower") for result in results)
    assert named <= 0.05 if change == 0 else wrong <= 0.005
    assert change != -0.12 or named >= 0.99


def test_a_difference_too_small_to_name_is_seldom_named():
    """At most 2.5 %, and the error of 1,000 trials, of verdicts name a difference of SMALLEST."""
    results = map(statistics.compare, *measurements(np.random.default_rng(1), statistics.SMALLEST, 10))
    assert share(result.verdict == "slower" for result in results) <= 0.035


def test_a_soak_of_one_process_is_covered():
    """Batch means cover the truth although blocks that follow each other are alike."""
    rng = np.random.default_rng(1)
    drift = np.linspace(0, 0.3, 1000) + 0.2 * (np.arange(1000) > 333)
    noise = correlated(rng, (2, TRIALS, 1000), 0.02, 0.8) + rng.normal(0, 0.01, (2, TRIALS, 1000))
    candidate, baseline = np.exp(drift + noise)
    results = list(map(statistics.compare_blocks, 0.98 * candidate, baseline))
    assert 0.93 <= covered(results, -0.02) <= 0.97


def test_one_process_is_no_ten_repeats():
    """One process cut into ten gives an interval that misses the truth: one memory layout is in all of them."""
    one = [series.reshape(TRIALS, 10, -1) for series in measurements(np.random.default_rng(1), 0, 1)]
    assert covered(list(map(statistics.compare, *one)), 0) < 0.8


def test_interleaving_cancels_a_drift_that_a_sequence_takes_for_a_difference():
    """On the same drifting board A B B A finds equal models alike, A A A B B B finds one of them faster."""
    rng = np.random.default_rng(1)
    board = np.linspace(0, 0.1, 2 * RUNS) + rng.normal(0, 0.01, (10, 2 * RUNS))
    log = {"interleaved": INTERLEAVED, "sequential": SEQUENTIAL}
    found = {name: statistics.compare(np.exp(board[:, turn]), np.exp(board[:, ~turn])) for name, turn in log.items()}
    assert found["interleaved"].verdict == "undecided"
    assert abs(found["interleaved"].change) < 0.001
    assert found["sequential"].verdict == "faster"
    assert found["sequential"].change == pytest.approx(-0.05, abs=0.005)


def test_the_unit_of_time_does_not_matter():
    """Seconds and milliseconds give one verdict."""
    candidate, baseline = np.random.default_rng(1).uniform(1, 2, (2, 5, 100))
    seconds, milliseconds = statistics.compare(candidate, baseline), statistics.compare(1e3 * candidate, 1e3 * baseline)
    assert seconds.change == pytest.approx(milliseconds.change)
    assert seconds.text == milliseconds.text


@pytest.mark.parametrize(
    ("comparison", "text"),
    [
        ((-0.12, -0.14, -0.10), "faster by 12 % ± 2"),
        ((0.031, 0.027, 0.035), "slower by 3.1 % ± 0.4"),
        ((0.003, -0.005, 0.011), "undecided: slower by 0.3 % ± 0.8"),
        ((-0.004, -0.0042, -0.0038), "undecided: faster by 0.40 % ± 0.02"),
        ((0, 0, 0), "undecided: slower by 0.00 % ± 0.00"),
        ((1.12, 0.13, 2.96), "slower by 112 % (13 to 296)"),
        ((-0.5, -0.8, -0.4), "faster by 50 % (40 to 80)"),
    ],
)
def test_a_comparison_reads_as_a_sentence(comparison, text):
    """Digits end where the interval makes them meaningless."""
    assert statistics.Comparison(*comparison).text == text


def test_percentiles_need_samples():
    """A percentile is given from the count on at which two samples lie beyond it at 99 % confidence, not one before."""
    for percentile, count in statistics.SAMPLES.items():
        share = percentile / 100
        assert percentile == 50 or 1 - share**count - count * (1 - share) * share ** (count - 1) >= 0.99
        assert percentile == 50 or 1 - share ** (count - 1) - (count - 1) * (1 - share) * share ** (count - 2) < 0.99
        assert f"p{percentile}" in statistics.summary(np.ones(count))
        assert count == 1 or f"p{percentile}" not in statistics.summary(np.ones(count - 1))


def test_outliers_are_counted_and_kept():
    """Slow outliers show as a share, in the mean and in p99; fast ones and ordinary spread are none."""
    values = np.linspace(9, 11, 1000)
    assert statistics.summary(values)["outliers"] == 0
    values[:20] = 100
    values[20] = 1
    found = statistics.summary(values)
    assert found["outliers"] == 0.02
    assert found["mean"] == values.mean()
    assert found["p99"] == 100


@pytest.mark.parametrize(
    ("candidate", "baseline", "message"),
    [
        (np.ones((2, 10)), np.ones((2, 10)), "2 repeats"),
        (np.ones((3, 10)), np.ones((3, 11)), "cannot be compared"),
        (np.zeros((3, 10)), np.ones((3, 10)), "not above 0"),
        (np.full((3, 10), np.nan), np.ones((3, 10)), "not above 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(candidate, baseline, message):
    """Too few processes, and series that are no latencies, stop with one line."""
    with pytest.raises(UserError, match=message):
        statistics.compare(candidate, baseline)


def test_a_soak_of_a_few_blocks_is_refused():
    """An interval from fewer blocks than batches is refused."""
    with pytest.raises(UserError, match="9 blocks"):
        statistics.compare_blocks(np.ones(9), np.ones(9))
