"""What a head says of outputs, on cases worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.data.shards import Spec, Tensor
from edge.heads import Classification, Detection, Regression, detection

WORDS = Spec(Tensor("x", (4,)), Tensor("scores", (2,)), ("no", "yes"), {})
THINGS = Spec(Tensor("x", (4,)), Tensor("scores", (100, 6)), ("cat", "dog"), {})
SERIES = Spec(Tensor("x", (4,)), Tensor("scores", (2,)), (), {"target_mean": 0.0, "target_std": 1.0})


def boxes(*rows: tuple) -> np.ndarray:
    """Outputs of one picture: the boxes given, then none."""
    found = np.zeros((1, 100, 6), np.float32)
    found[0, : len(rows)] = np.reshape(rows, (-1, 6))
    return found


def test_classification_by_hand():
    """Accuracy and macro-F1 of four answers, one wrong; what is right, sure, and shown first."""
    head, y = Classification(), np.array([0, 0, 1, 1])
    outputs = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]], np.float32)
    assert head.score(y, outputs) == pytest.approx({"accuracy": 0.75, "macro_f1": (0.8 + 2 / 3) / 2})
    assert head.right(y, outputs).tolist() == [1, 1, 0, 1]
    assert head.confidence(outputs) == pytest.approx([0.9, 0.8, 0.6, 0.7])
    assert head.answers(y, outputs, WORDS).predicted.tolist() == ["no", "no", "no", "yes"]
    assert head.agreement(outputs, outputs[:, ::-1]) == 0
    assert head.shown(y, WORDS) == {"no": 0, "yes": 2}


def test_a_label_without_examples_counts_in_no_mean():
    """Macro-F1 is over the labels that are true of some example: a class that was enrolled since has none."""
    outputs = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7], [0.1, 0.9, 0.0]], np.float32)
    found = Classification().score(np.array([0, 0, 1]), outputs)
    assert found == pytest.approx({"accuracy": 2 / 3, "macro_f1": (2 / 3 + 1) / 2})


def test_a_classification_may_be_judged_by_macro_f1():
    """The headline is what was asked for, and the metric of training equals it over several batches."""
    assert Classification().headline == "accuracy"
    head = Classification(headline="macro_f1")
    objective = head.objective(SimpleNamespace(label_smoothing=0.0), WORDS)
    y, logits = np.array([0, 0, 0, 1]), np.array([[2, 1], [3, 0], [0, 1], [0, 4]], np.float32)
    (metric,) = objective.metrics
    for rows in (slice(0, 2), slice(2, 4)):
        metric.update_state(objective.targets(y[rows]), logits[rows])
    assert metric.name == "score"
    assert float(metric.result()) == pytest.approx(head.score(y, logits)[head.headline]) == (0.8 + 2 / 3) / 2


def test_regression_by_hand():
    """Errors of 1 against naive errors of 2 are a skill of one half; a perfect example is wholly right."""
    head = Regression()
    y = np.array([[0, 2, 2], [1, 3, -1]], np.float32)
    outputs = np.array([[2, 2], [1, 1]], np.float32)
    assert head.score(y, outputs) == pytest.approx({"skill": 0.5, "mae": 1.0, "mae_naive": 2.0})
    assert head.right(y, outputs).tolist() == [1, 0]
    assert head.agreement(outputs, outputs + 1) == 0
    assert head.agreement(outputs, outputs) == 1


def test_a_series_that_never_changes_has_no_skill():
    """Where the naive forecast is perfect the score is an error, not infinity."""
    with pytest.raises(UserError, match="ever changes"):
        Regression().score(np.ones((3, 3)), np.ones((3, 2)))


def test_the_ranges_of_a_regression_cover_every_value():
    """Each true and each answered value falls into a named range, beyond the smallest and the largest too."""
    y = np.stack([np.zeros(50), np.arange(50.0), np.zeros(50)], axis=1)
    table = Regression().answers(y, np.full((50, 2), 1000.0), SERIES)
    assert table.actual.nunique() == 10
    assert table.predicted.unique().tolist() == ["from 44.1"]


def test_a_box_is_found_or_not():
    """A true box counts once: a second box on it is a false one, and a box of another class finds nothing."""
    head = Detection()
    y = np.array([[[0.0, 0.0, 0.5, 0.5, 0], [-1, -1, -1, -1, -1]]], np.float32)
    found = (0, 0, 0.5, 0.5)
    assert head.right(y, boxes((*found, 0.9, 0))).tolist() == [1]
    assert head.right(y, boxes((*found, 0.9, 0), (*found, 0.8, 0))) == pytest.approx([2 / 3])
    assert head.right(y, boxes((*found, 0.9, 1))).tolist() == [0]
    assert head.right(y, boxes((*found, 0.4, 0))).tolist() == [0]
    table = head.answers(y, boxes((*found, 0.9, 1), (0.5, 0.5, 1, 1, 0.8, 0)), THINGS)
    assert table[["actual", "predicted"]].values.tolist() == [["cat", "dog"], ["background", "cat"]]


def test_a_picture_without_boxes_is_right_when_none_is_found():
    """No box and no answer is wholly right; an answer there is wrong."""
    y = np.full((1, 2, 5), -1, np.float32)
    assert Detection().right(y, boxes()).tolist() == [1]
    assert Detection().right(y, boxes((0, 0, 1, 1, 0.9, 0))).tolist() == [0]


def test_no_true_box_is_no_score():
    """Where no picture has a box the score is an error of one line."""
    with pytest.raises(UserError, match="none of the 1 pictures has a true box"):
        Detection().score(np.full((1, 2, 5), -1, np.float32), boxes())


def test_average_precision_by_hand():
    """One of two true boxes found first, a false one after it: precision 1 up to a recall of one half, then 0."""
    y = np.array([[[0, 0, 0.4, 0.4, 0], [0.5, 0.5, 0.9, 0.9, 0]]], np.float32)
    outputs = boxes((0, 0, 0.4, 0.4, 0.9, 0), (0.5, 0, 0.9, 0.4, 0.8, 0))
    assert detection.average_precision(y, outputs, 0) == pytest.approx([51 / 101] * 10)
    assert Detection().score(y, outputs) == pytest.approx({"map50": 51 / 101, "map50_95": 51 / 101})


def test_boxes_of_equal_rank_may_swap():
    """The order of boxes is no difference between two models; their places and scores are."""
    head = Detection()
    one = boxes((0, 0, 0.4, 0.4, 0.9, 0), (0.5, 0.5, 0.9, 0.9, 0.9, 1))
    assert head.difference(one, boxes(*one[0, [1, 0]])) == 0
    assert head.agreement(one, boxes(*one[0, [1, 0]])) == 1
    moved = one.copy()
    moved[0, 0, 0] += 0.1
    assert head.difference(one, moved) == pytest.approx(0.09)
    assert head.agreement(one, moved) == 0.5
