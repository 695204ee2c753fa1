"""Quantize says what a scheme costs."""

import pytest

from stages.quantize import costs


@pytest.mark.parametrize(
    ("ratio", "drop", "most", "words"),
    [
        (0.3, 0.01, 0.02, []),
        (2.4, 0.0, 0.02, ["int8 makes the model 2.40 times as large as fp32"]),
        (0.3, 0.06, 0.02, ["int8 loses 0.0600 of accuracy, the config's budget.drop allows 0.02"]),
        (0.3, 0.06, None, []),
    ],
)
def test_a_scheme_that_costs_more_than_it_should_is_said(ratio, drop, most, words):
    """More bytes than fp32, or a larger drop than the budget allows, is a warning; a budget of null is not asked."""
    assert costs("int8", {"bytes_against_fp32": ratio, "drop": drop}, "accuracy", most) == words
