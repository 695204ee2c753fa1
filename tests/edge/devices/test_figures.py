"""Series to figures."""

import numpy as np
import pytest

from edge.devices import evaluation, figures


def test_examples_are_spread():
    """Fewer examples than the split has are spread over all of it, ends included; more are all there are."""
    assert figures.spread(70, 4).tolist() == [0, 23, 46, 69]
    assert figures.spread(3, 10).tolist() == [0, 1, 2]


def test_a_soak_too_short_to_rank_keeps_the_rest():
    """With too few blocks for a start and an end there are no verdicts; neither do start and end overlap."""
    blocks = {f"{role}_ms": np.linspace(1, 2, 19).astype(str) for role in figures.ROLES}
    results = evaluation.Results({"soak": {}}, None, {}, {}, blocks)
    assert figures.soak(results) == {"soak": {"blocks": 19, "state": {}}}
    halves = {"candidate_ms": ["1.0"] * 10 + ["2.0"] * 10, "baseline_ms": ["1.0"] * 20}
    found = figures.soak(
        evaluation.Results({"soak": {}}, None, {}, {}, {key: np.array(v) for key, v in halves.items()})
    )
    assert (found["soak"]["start"]["change_percent"], found["soak"]["end"]["change_percent"]) == (0, pytest.approx(100))
