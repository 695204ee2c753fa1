"""Series to figures."""

from types import SimpleNamespace

import numpy as np
import pytest

from edge.devices import figures, results
from edge.records.measurement import Soak, State


def test_examples_are_spread():
    """Fewer examples than the split has are spread over all of it, ends included; more are all there are."""
    assert figures.spread(70, 4).tolist() == [0, 23, 46, 69]
    assert figures.spread(3, 10).tolist() == [0, 1, 2]


def soaked(candidate: list[float], baseline: list[float]) -> results.Results:
    """Results with a soak of these blocks, milliseconds."""
    columns = {"candidate_ms": candidate, "baseline_ms": baseline}
    report = SimpleNamespace(soak=State())
    return results.Results(
        report, None, {}, {}, {name: np.array(blocks).astype(str) for name, blocks in columns.items()}
    )


def test_a_soak_too_short_to_rank_keeps_the_rest():
    """With too few blocks for a start and an end there are no verdicts; neither do start and end overlap."""
    assert figures.soak(soaked([1.0] * 19, [1.0] * 19)) == Soak(blocks=19, state=State())
    found = figures.soak(soaked([1.0] * 10 + [2.0] * 10, [1.0] * 20))
    assert (found.start.change_percent, found.end.change_percent) == (0, pytest.approx(100))
