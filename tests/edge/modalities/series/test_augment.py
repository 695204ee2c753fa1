"""Orientation of phones, mirrored poses, and figures without place and size."""

import numpy as np

from edge.modalities.series import augment, poses
from edge.modalities.series.generated import ORIENTATIONS

SEED = np.array((1, 2), np.int32)


def test_half_turns_are_rotations_of_all_sensors():
    """Each is a rotation (determinant 1), sensors of three axes turn alike, a fourth column stays; labels stay."""
    assert all(np.prod(signs) == 1 for signs in ORIENTATIONS) and len(set(ORIENTATIONS)) == 4
    x = np.ones((64, 5, 7), np.float32)
    turned, y = augment.Orientations([3, 1, 3])(x, np.arange(64), SEED)
    rows = {tuple(row) for row in turned.numpy().reshape(-1, 7).astype(int)}
    assert rows == {(*signs, 1, *signs) for signs in ORIENTATIONS}
    assert np.array_equal(y, np.arange(64))
    again, _ = augment.Orientations([3, 1, 3])(x, np.arange(64), SEED)
    assert np.array_equal(turned, again)


def test_a_mirror_swaps_left_and_right():
    """About half of the poses are mirrored; there the left wrist is where the right one was, about the middle."""
    x = np.random.default_rng(1).normal(size=(64, 1, 34)).astype(np.float32)
    found = augment.mirrored(x, np.zeros(64), SEED)[0].numpy()
    changed = (found != x).any(axis=(1, 2))
    assert 16 < changed.sum() < 48
    before, after = (array.reshape(64, 17, 2)[changed] for array in (x, found))
    left, right = poses.POINTS.index("left_wrist"), poses.POINTS.index("right_wrist")
    assert np.allclose(after[:, left, 0], 2 * before[..., 0].mean(axis=1) - before[:, right, 0], atol=1e-5)
    assert np.array_equal(after[:, left, 1], before[:, right, 1])


def test_a_figure_has_neither_place_nor_size():
    """The same pose elsewhere and larger is the same figure."""
    x = np.random.default_rng(1).normal(size=(2, 3, 34)).astype(np.float32)
    one, other = augment.Figure()(x).numpy(), augment.Figure()(40 * x + 500).numpy()
    assert np.allclose(one, other, atol=1e-3)
    assert np.allclose((one**2).mean(axis=(1, 2)), 1, atol=1e-3)
