"""Augmentation of audio: the same clips as another speaker, microphone or room might have given them.

``Waveforms`` works on batches inside tf.data, with stateless random numbers: the same seed gives the same clips.
``SpecAugment`` is a layer behind the front end that acts in training only.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import ops


def coloured_noise(rows: int, samples: int, seed: int) -> np.ndarray:
    """Noise of power 1 from white to brown (power falls as frequency^0 to frequency^2), float32 [rows, samples]."""
    random = np.random.default_rng(seed)
    frequency = np.arange(1, samples // 2 + 2)
    exponent = random.uniform(0, 2, (rows, 1))
    spectrum = random.normal(size=(2, rows, len(frequency))) * frequency ** (-exponent / 2)
    spectrum[:, :, 0] = 0  # no constant part
    noise = np.fft.irfft(spectrum[0] + 1j * spectrum[1], samples)
    return (noise / noise.std(axis=1, keepdims=True)).astype(np.float32)


class Waveforms:
    """Callable on a batch: (x float32 [batch, samples], y, seed int [2]) -> (x, y).

    ``cfg`` has ``shift`` (seconds to either side), ``speed`` (playing speed 1 ± speed; the pitch changes too), ``tilt``
    (of the filter x[t] - a x[t - 1], a to either side) and ``snr`` (lowest and highest, dB of the clip over the noise).
    """

    def __init__(self, cfg, sample_rate: int, samples: int, seed: int):
        self.cfg, self.sample_rate = cfg, sample_rate
        noise = coloured_noise(64, samples, seed)
        self.noise = tf.constant(noise)

    def __call__(self, x, y, seed):
        seeds = tf.random.split(seed, 6)
        batch, samples = tf.shape(x)[0], x.shape[1]

        def uniform(index, low, high):
            return tf.random.stateless_uniform([batch, 1], seeds[index], low, high)

        reach = self.cfg.shift * self.sample_rate
        x = _resample(x, uniform(0, 1 - self.cfg.speed, 1 + self.cfg.speed), uniform(1, -reach, reach))
        x -= uniform(2, -self.cfg.tilt, self.cfg.tilt) * tf.pad(x, [[0, 0], [1, 0]])[:, :-1]
        row = tf.random.stateless_uniform([batch], seeds[3], maxval=len(self.noise), dtype=tf.int32)
        turn = tf.random.stateless_uniform([], seeds[4], maxval=samples, dtype=tf.int32)
        noise = tf.roll(tf.gather(self.noise, row), turn, axis=1)
        power = tf.reduce_mean(x * x, axis=1, keepdims=True)
        return x + noise * tf.sqrt(power * 10 ** (uniform(5, *self.cfg.snr) / -10)), y


def _resample(x, speed, shift):
    """Read [batch, samples] ``speed`` times as fast about the middle, ``shift`` samples later; silence beyond."""
    samples = x.shape[1]
    middle = (samples - 1) / 2
    position = (tf.range(samples, dtype=tf.float32) - middle) * speed + middle - shift
    x = tf.pad(x, [[0, 0], [1, 1]])
    position = tf.clip_by_value(position + 1, 0.0, samples + 0.99)
    before = tf.floor(position)
    index = tf.cast(before, tf.int32)
    left = tf.gather(x, index, batch_dims=1)
    right = tf.gather(x, index + 1, batch_dims=1)
    return left + (position - before) * (right - left)


@keras.saving.register_keras_serializable("edge")
class SpecAugment(keras.layers.Layer):
    """Stretch and mask features [batch, frames, bins], in training only.

    Masks: Park et al. 2019, arXiv:1904.08779. Stretching the mel axis stands for another length of the vocal tract:
    Jaitly and Hinton 2013.
    """

    def __init__(self, warp, stretch, mask_frames, mask_bins, seed, **kwargs):
        super().__init__(**kwargs)
        self.settings = {
            "warp": warp, "stretch": stretch, "mask_frames": mask_frames, "mask_bins": mask_bins, "seed": seed
        }  # fmt: skip
        self.generator = keras.random.SeedGenerator(seed)

    def get_config(self):
        return super().get_config() | self.settings

    def call(self, features, training=False):
        if not training:
            return features
        batch, (frames, bins) = ops.shape(features)[0], features.shape[1:]
        settings = self.settings
        features = ops.matmul(features, self.stretch(batch, bins, settings["warp"], 0.0))
        features = ops.matmul(ops.transpose(self.stretch(batch, frames, settings["stretch"], 0.5), (0, 2, 1)), features)
        features *= self.mask(batch, frames, settings["mask_frames"])[:, :, None]
        return features * self.mask(batch, bins, settings["mask_bins"])[:, None, :]

    def stretch(self, batch, size, most, centre):
        """Linear interpolation along an axis stretched about ``centre`` by 1 ± most: [batch, from size, to size]."""
        rate = keras.random.uniform((batch, 1, 1), 1 - most, 1 + most, seed=self.generator)
        index = np.arange(size, dtype=np.float32)
        middle = centre * (size - 1)
        position = ops.clip((index[None, None, :] - middle) * rate + middle, 0, size - 1)
        return ops.relu(1 - ops.abs(position - index[None, :, None]))

    def mask(self, batch, size, most):
        """0 in one span of up to ``most`` of the axis, else 1: [batch, size]."""
        length = keras.random.uniform((batch, 1), 0, most * size, seed=self.generator)
        start = keras.random.uniform((batch, 1), 0, 1, seed=self.generator) * (size - length)
        index = np.arange(size, dtype=np.float32)[None, :]
        return 1 - ops.cast((index >= start) & (index < start + length), "float32")
