"""Time: order, gaps, a fixed rate, windows and their labels, and the unit of gravity."""

import numpy as np
import pytest

from edge.modalities.series import windows


def test_rows_are_put_in_order_and_equal_stamps_are_dropped():
    """One step back in 200 is sorted, and of equal stamps the first row stays."""
    stamps = np.arange(200.0)
    stamps[[50, 51]] = stamps[[51, 50]]
    stamps[100] = stamps[99]
    rows = windows.order(stamps)
    assert rows[50:52].tolist() == [51, 50] and 100 not in rows and len(rows) == 199


def test_time_that_goes_backwards_often_is_refused():
    """From one step in a hundred on, nobody knows what the order was."""
    stamps = np.arange(100.0)
    stamps[50] = 0
    assert windows.order(stamps) is None


def test_a_gap_cuts():
    """A gap above the limit cuts, one of the limit does not."""
    found = windows.pieces(np.array([0, 1, 3, 5.1, 6]), 2)
    assert [(part.start, part.stop) for part in found] == [(0, 3), (3, 5)]
    assert windows.pieces(np.array([1.0]), 2) == [slice(0, 1)]


def test_resampling_is_linear_and_ends_with_the_data():
    """Values between rows are on the line between them; the nearest row lends its label; nothing after the end."""
    stamps, values = np.array([10, 10.4, 11.1]), np.array([[0, 1], [4, 1], [11, 1]])
    x, nearest = windows.resampled(stamps, values, 4)
    assert x[:, 0] == pytest.approx([0, 2.5, 5, 7.5, 10]) and (x[:, 1] == 1).all()
    assert nearest.tolist() == [0, 1, 1, 1, 2]
    x, nearest = windows.resampled(stamps[:1], values[:1], 4)
    assert x.tolist() == [[0, 1]] and nearest.tolist() == [0]


def test_the_rate_of_the_data_gives_the_data():
    """Equal steps at the same rate come back as they are, however the division rounds."""
    stamps = 0.04 * np.arange(1000) + 1.657533977813e9
    x, nearest = windows.resampled(stamps, np.arange(1000.0)[:, None], 25)
    assert len(x) == 1000 and nearest.tolist() == list(range(1000))


def test_windows_lie_around_their_centre_and_repeat_the_ends():
    """A window begins half its size before its centre; beyond the recording its ends are repeated."""
    found = list(windows.centred(6, 4, 3))
    assert [rows.tolist() for rows in found] == [[0, 0, 0, 1], [1, 2, 3, 4]]


def test_the_middle_says_the_label():
    """The label is the most frequent one in the middle, and its share there is the purity."""
    assert windows.majority(np.array([7, 7, 7, 1, 1, 2, 7, 7]), 4) == (1, 0.5)
    assert windows.majority(np.array([3]), 1) == (3, 1.0)


def test_gravity_in_g_is_told():
    """A phone at rest for a while shows 9.81; in units of g the ratio is named; walking does not hide it."""
    random = np.random.default_rng(1)
    motion = np.concatenate([random.normal(0, 0.02, (500, 3)), random.normal(0, 5, (1500, 3))]) + [0, 9.81, 0]
    found = windows.at_rest(windows.strengths(motion, 25))
    assert found == pytest.approx(9.81, abs=0.05) and windows.unit_warning(found) == ""
    in_g = windows.at_rest(windows.strengths(motion / 9.81, 25))
    assert "ratio 0.102" in windows.unit_warning(in_g)
