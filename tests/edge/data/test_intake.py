"""Intake: examples are appended to splits, faults are reported together, groups and duplicates never leak."""

import csv
from collections import Counter

import numpy as np
import pytest

from edge.core.errors import UserError
from edge.data import shards
from edge.data.rejected import CONTRADICTION, DUPLICATE, Rejected
from edge.data.splits import Intake, check_labels, repeated, split_of
from edge.data.writer import Splits

CONFIG = Intake(val=0.2, test=0.2, calibration=0.2, max_rejected=0.5)


def test_what_is_appended_is_what_is_loaded(tmp_path):
    """Rows of x and y come back in order, with their types; an empty split has no rows."""
    with Splits(tmp_path, ("<i2", (2, 3)), ("float32", (2,))) as splits:
        for row in range(5):
            splits.add("train", np.full((2, 3), row), [row, -row])
    assert splits.counts == {"train": 5, "val": 0, "test": 0, "calibration": 0}
    x, y = np.load(tmp_path / "train.x.npy"), np.load(tmp_path / "train.y.npy")
    assert (x.dtype, x.shape, y.dtype, y.shape) == (np.int16, (5, 2, 3), np.float32, (5, 2))
    assert x[:, 0, 0].tolist() == [0, 1, 2, 3, 4] and y[:, 1].tolist() == [0, -1, -2, -3, -4]
    assert np.load(tmp_path / "val.x.npy").shape == (0, 2, 3)


def test_a_row_of_another_size_is_refused(tmp_path):
    """A row that does not fit raises: it would shift every row after it."""
    with Splits(tmp_path, ("uint8", (4,)), ("int64", ())) as splits, pytest.raises(ValueError, match=r"shape \(4,\)"):
        splits.add("train", np.zeros(3), 0)


def test_a_group_is_in_one_split_and_stays_there():
    """val and test follow from the group alone; calibration takes its share of what is for training."""
    places = {group: {split_of(group, f"{group}{n}", CONFIG) for n in range(50)} for group in map(str, range(200))}
    assert all(found in ({"test"}, {"val"}, {"train", "calibration"}) for found in places.values())
    counts = Counter(min(found) for found in places.values())
    assert 0.1 < counts["test"] / 200 < 0.3 and 0.1 < counts["val"] / 200 < 0.3


def test_the_first_of_equals_stays_and_contradictions_go():
    """Equal content with equal truth is a duplicate; equal content with two truths is left out whole."""
    assert repeated([("a", "1"), ("b", "1"), ("a", "1"), ("c", "2"), ("b", "2")]) == {
        1: CONTRADICTION,
        2: DUPLICATE,
        4: CONTRADICTION,
    }


def test_rejected_examples_are_listed_and_limited(tmp_path):
    """Each has a row with file, line, reason and detail; above the limit one line says how many and why."""
    with Rejected(tmp_path) as rejected:
        rejected.reject("a.csv", 3, "not a number", "column x: 'seven'")
        rejected.reject("b.csv", "", DUPLICATE)
    rows = list(csv.DictReader((tmp_path / "rejected.csv").open()))
    assert rows[0] == {"file": "a.csv", "line": "3", "reason": "not a number", "detail": "column x: 'seven'"}
    rejected.check(8, 0.1, "rows")
    with pytest.raises(UserError, match=r"1 of 10 rows are rejected, 1 of them as not a number.*allows 9%"):
        rejected.check(8, 0.09, "rows")


def test_nothing_left_is_an_error_whatever_the_limit(tmp_path):
    """With max_rejected = 1 a data set without a good example still fails."""
    with Rejected(tmp_path) as rejected:
        rejected.reject("a.csv", 1, "empty")
    with pytest.raises(UserError, match="no rows are left"):
        rejected.check(0, 1.0, "rows")


def test_each_split_needs_each_label():
    """The first split that lacks a label is named with the label and the setting that helps."""
    kept = Counter({(label, split): 1 for label in "ab" for split in shards.SPLITS})
    check_labels(kept, "ab", "pictures")
    del kept["a", "calibration"]
    check_labels(kept, "ab", "pictures")
    del kept["b", "test"]
    with pytest.raises(UserError, match=r"split test has none of the 3 pictures of b:.*raise preprocess.test"):
        check_labels(kept, "ab", "pictures")


def test_folds_test_each_group_once():
    """With a fifth for testing the folds 0 to 4 test each group once; fold 0 is what there is without a fold."""
    tested = Counter(
        group for group in map(str, range(300)) for fold in range(5) if split_of(group, group, CONFIG, fold) == "test"
    )
    assert len(tested) == 300 and set(tested.values()) == {1}
    assert split_of("7", "7", CONFIG, 0) == split_of("7", "7", CONFIG)
