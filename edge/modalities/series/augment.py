"""Augmentation of windows of axes, inside tf.data with stateless random numbers, and the scaling of poses."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from edge.modalities.series.generated import ORIENTATIONS
from edge.modalities.series.poses import MIRRORED


class Orientations:
    """Callable (x, y, seed) on a batch, float32 [batch, rows, columns]: each window as if the phone lay another way.

    One of the four half turns is drawn for each window; it turns all sensors of three axes alike. ``sensors`` has the
    number of columns of each sensor.
    """

    def __init__(self, sensors: list[int]):
        same = [np.ones((len(ORIENTATIONS), count)) for count in sensors]
        turned = [np.array(ORIENTATIONS) if count == 3 else keep for count, keep in zip(sensors, same, strict=True)]
        self.signs = np.concatenate(turned, axis=1).astype(np.float32)

    def __call__(self, x, y, seed):
        drawn = tf.random.stateless_uniform([tf.shape(x)[0]], seed, maxval=len(self.signs), dtype=tf.int32)
        return x * tf.gather(self.signs, drawn)[:, None, :], y


def mirrored(x, y, seed):
    """Poses, float32 [batch, rows, 34]: half of the windows as a mirror shows them, about the middle of the body."""
    pairs = tf.reshape(x, (-1, x.shape[1], len(MIRRORED), 2))
    middle = tf.reduce_mean(pairs[..., :1], axis=2, keepdims=True)
    across = tf.concat([2 * middle - pairs[..., :1], pairs[..., 1:]], axis=-1)
    across = tf.reshape(tf.gather(across, MIRRORED, axis=2), tf.shape(x))
    drawn = tf.random.stateless_uniform([tf.shape(x)[0], 1, 1], seed) < 0.5
    return tf.where(drawn, across, x), y


@keras.saving.register_keras_serializable("edge")
class Figure(keras.layers.Layer):
    """Poses [batch, rows, 34] without place and size: the middle of the body is 0, its spread over the window is 1."""

    def call(self, poses):
        rows, columns = poses.shape[1:]
        pairs = ops.reshape(poses, (-1, rows, columns // 2, 2))
        pairs = pairs - ops.mean(pairs, axis=2, keepdims=True)
        spread = ops.sqrt(ops.mean(pairs * pairs, axis=(1, 2, 3), keepdims=True))
        return ops.reshape(pairs / (spread + 1e-6), (-1, rows, columns))

    def compute_output_shape(self, shape):
        return shape
