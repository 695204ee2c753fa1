"""Convert compares before it writes."""

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.heads import Classification
from stages.convert import parity

HEAD = Classification()
KERAS = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)


def test_a_difference_above_the_tolerance_stops_the_pipeline():
    """Scores that differ by more than the tolerance are an error that names the form and the largest difference."""
    with pytest.raises(UserError, match=r"TFLite and Keras differ by 0\.01.*convert\.tolerance = 0\.001"):
        parity(HEAD, "TFLite", KERAS, KERAS + np.array([[0, 0.01], [0, 0]], np.float32), 0.001)


def test_a_score_that_is_no_number_stops_the_pipeline():
    """NaN never counts as close."""
    with pytest.raises(UserError, match="differ by nan"):
        parity(HEAD, "TFLite", KERAS, np.full_like(KERAS, np.nan), 0.001)


def test_close_scores_pass_with_their_figures():
    """Within the tolerance the largest difference and the share of equal answers are reported."""
    other = KERAS + np.float32(1e-4)
    assert parity(HEAD, "TFLite", KERAS, other, 0.001) == {
        "largest_difference": pytest.approx(1e-4, rel=0.01),
        "agreement": 1.0,
    }
