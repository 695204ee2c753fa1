"""Training pictures change within the settings, by the seed alone."""

from types import SimpleNamespace

import numpy as np
import tensorflow as tf

from edge.modalities.vision.augment import Pictures
from tests.edge.modalities.vision.files import noise

NONE = {"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "mirror": False, "gain": 0.0, "offset": 0.0}
BATCH = np.stack([noise(20, 24, seed) for seed in range(64)]).astype(np.float32)


def changed(x=BATCH, seed: int = 1, **changes) -> np.ndarray:
    labels = tf.range(len(x))
    pictures, y = Pictures(SimpleNamespace(**NONE | changes))(tf.constant(x), labels, tf.constant((1, seed)))
    assert np.array_equal(y, labels)
    return pictures.numpy()


def test_nothing_is_changed_where_all_is_zero():
    """The transform of no change is exact."""
    assert np.array_equal(changed(), BATCH)


def test_the_seed_decides():
    """Equal seeds give equal pictures, other seeds others, and each picture of a batch is changed differently."""
    settings = {"rotation": 0.3, "zoom": 0.15, "shift": 0.1, "mirror": True, "gain": 0.15, "offset": 30.0}
    assert np.array_equal(changed(**settings), changed(**settings))
    assert not np.array_equal(changed(**settings), changed(seed=2, **settings))
    same = np.broadcast_to(BATCH[:1], BATCH.shape)
    assert len({picture.tobytes() for picture in changed(same, **settings)}) == len(BATCH)


def test_a_mirror_is_left_to_right():
    """About half of the pictures are mirrored exactly, the others are as they were."""
    mirrored = changed(mirror=True)
    flipped = [np.array_equal(new, old[:, ::-1]) for new, old in zip(mirrored, BATCH, strict=True)]
    kept = [np.array_equal(new, old) for new, old in zip(mirrored, BATCH, strict=True)]
    assert sum(flipped) + sum(kept) == len(BATCH)
    assert 16 < sum(flipped) < 48


def spot(x: np.ndarray) -> np.ndarray:
    """Where the bright spot of each picture is: y, x in pixels from its middle."""
    weight = x[..., 0] / x[..., 0].sum(axis=(1, 2), keepdims=True)
    rows, columns = np.indices(x.shape[1:3])
    middle = [(side - 1) / 2 for side in x.shape[1:3]]
    return np.stack([(weight * rows).sum((1, 2)), (weight * columns).sum((1, 2))], axis=1) - middle


def spots(y: int, x: int) -> np.ndarray:
    """Black pictures of 41 x 41 with a bright spot at (y, x)."""
    pictures = np.zeros((64, 41, 41, 1), np.float32)
    pictures[:, y - 1 : y + 2, x - 1 : x + 2] = 255
    return pictures


def test_rotation_zoom_and_shift_keep_their_limits():
    """A spot's distance from the middle shows zoom and shift, its angle the rotation: each fills its range."""
    place = spot(changed(spots(20, 30), rotation=0.3))
    assert np.allclose(np.hypot(*place.T), 10, atol=0.3)
    assert 0.25 < np.abs(np.arctan2(*place.T)).max() < 0.31
    place = spot(changed(spots(20, 30), zoom=0.2))
    assert np.abs(place[:, 0]).max() < 0.1
    assert 10 / 1.2 - 0.3 < place[:, 1].min() < 8.8 and 11.8 < place[:, 1].max() < 10 / 0.8 + 0.3
    place = spot(changed(spots(20, 20), shift=0.1))
    assert 3.5 < np.abs(place).max(axis=0).min() < np.abs(place).max() < 4.3


def test_colours_keep_their_limits():
    """A gain for each channel, one offset for all, and nothing leaves 0…255."""
    grey = np.full((64, 4, 4, 3), 100, np.float32)
    gained = changed(grey, gain=0.2)
    assert gained.min() >= 80 and gained.max() <= 120 and np.ptp(gained, axis=3).max() > 10
    lifted = changed(grey, offset=30.0)
    assert lifted.min() >= 70 and lifted.max() <= 130 and np.ptp(lifted, axis=3).max() == 0
    assert changed(gain=0.9, offset=200.0).min() == 0 and changed(gain=0.9, offset=200.0).max() == 255
