"""Augmented clips are other clips, and the same ones again from the same seed."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from edge.modalities.audio.augment import SpecAugment, Waveforms, coloured_noise

NOTHING = {"shift": 0.0, "speed": 0.0, "tilt": 0.0, "snr": (200.0, 200.0)}


def clips() -> np.ndarray:
    time = np.arange(8000) / 8000
    return np.stack([np.sin(2 * np.pi * pitch * time) * np.hanning(8000) for pitch in (100, 200, 300)]).astype("f")


def changed(seed: tuple[int, int], **settings) -> np.ndarray:
    labels = tf.eye(3)
    waveforms = Waveforms(SimpleNamespace(**NOTHING | settings), 8000, 8000, seed=0)
    x, y = tf.function(waveforms)(tf.constant(clips()), labels, tf.constant(seed))
    assert y is labels or np.array_equal(y, labels)
    assert x.shape == (3, 8000) and x.dtype == tf.float32
    return x.numpy()


@pytest.mark.parametrize("setting", [{"shift": 0.1}, {"speed": 0.2}, {"tilt": 0.5}, {"snr": (5.0, 10.0)}])
def test_each_change_changes_clips_and_is_repeatable(setting):
    """The same seed gives the same bytes, another step other clips; every clip of a batch is changed."""
    first = changed((1, 2), **setting)
    np.testing.assert_array_equal(first, changed((1, 2), **setting))
    assert np.abs(first - changed((1, 3), **setting)).max() > 0.01
    assert (np.abs(first - clips()).max(axis=1) > 1e-3).all()


def test_zero_changes_nothing():
    """With every setting at 0 and noise out of hearing, clips come back as they were."""
    np.testing.assert_allclose(changed((1, 2)), clips(), atol=1e-6)


def test_speed_changes_pitch():
    """A tone of 200 Hz played at another speed within 20 % stays within 20 % of 200 Hz and moves."""
    pitch = np.abs(np.fft.rfft(changed((1, 2), speed=0.2)[1])).argmax()
    assert 160 <= pitch <= 240
    assert pitch != 200


def test_noise_has_the_ratio_asked_for():
    """Noise at 10 dB has a tenth of the clip's power, whatever its colour."""
    noise = changed((1, 2), snr=(10.0, 10.0)) - clips()
    np.testing.assert_allclose((clips() ** 2).mean(axis=1) / (noise**2).mean(axis=1), 10, rtol=0.02)
    np.testing.assert_allclose(coloured_noise(5, 8000, 0).std(axis=1), 1, rtol=1e-3)


def test_spec_augment_acts_in_training_only():
    """The layer is the identity outside training; in training it keeps the shape, changes values and masks a span."""
    layer = SpecAugment(warp=0.1, stretch=0.1, mask_frames=0.5, mask_bins=0.5, seed=1)
    features = np.random.default_rng(0).normal(size=(8, 49, 40)).astype(np.float32)
    np.testing.assert_array_equal(layer(features), features)
    first = np.asarray(layer(features, training=True))
    assert first.shape == features.shape
    assert (first == 0).all(axis=2).any() and (first == 0).all(axis=1).any()
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    np.testing.assert_array_equal(again(features, training=True), first)
