"""Anchors, targets, loss and decoding of detection, in TensorFlow; imported where a model is trained or converted."""

import keras
import numpy as np
import tensorflow as tf

from edge.data.shards import Spec
from edge.heads.head import Objective

POSITIVE, NEGATIVE = 0.5, 0.4  # an anchor above the first IoU stands for the box, below the second for background
VARIANCES = np.array([0.1, 0.1, 0.2, 0.2], np.float32)  # units of the offsets, as SSD has them
ALPHA, GAMMA = 0.5, 2.0  # of the focal loss
CANDIDATES = 100  # boxes that are kept before and after suppression
SUPPRESS = 0.5  # IoU above which the less sure of two boxes of a class goes
ROUNDS = 12  # of the suppression; more than any chain of overlapping boxes that was seen


def anchors(levels: list[dict]) -> np.ndarray:
    """Centre y, centre x, height, width of every anchor, shares of the picture: float32 [anchors, 4]."""
    found = []
    for level in levels:
        rows, columns = (np.arange(level[key]) / level[key] + 0.5 / level[key] for key in ("rows", "columns"))
        grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)[:, :, None]
        sizes = np.broadcast_to(np.array(level["sizes"]), (*grid.shape[:2], len(level["sizes"]), 2))
        found.append(np.concatenate([np.broadcast_to(grid, sizes.shape), sizes], axis=-1).reshape(-1, 4))
    return np.concatenate(found).astype(np.float32)


def overlaps(one, other):
    """Intersection over union of boxes y0 x0 y1 x1 [..., n, 4] and [..., m, 4]: [..., n, m]."""
    one, other = one[..., :, None, :], other[..., None, :, :]
    sides = tf.maximum(tf.minimum(one[..., 2:], other[..., 2:]) - tf.maximum(one[..., :2], other[..., :2]), 0.0)
    shared = sides[..., 0] * sides[..., 1]
    areas = [(box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1]) for box in (one, other)]
    return shared / tf.maximum(areas[0] + areas[1] - shared, 1e-9)


def objective(spec: Spec) -> Objective:
    """Targets [batch, anchors, 4 + classes + 1]: offsets, one-hot class, and 1 where the anchor counts at all."""
    centres = anchors(spec.metadata["levels"])
    corners = np.concatenate([centres[:, :2] - centres[:, 2:] / 2, centres[:, :2] + centres[:, 2:] / 2], axis=1)
    count = len(spec.labels)

    def targets(y):
        y = tf.cast(y, tf.float32)
        real = y[..., 4] >= 0
        overlap = tf.where(real[:, None], overlaps(tf.constant(corners), y[..., :4]), -1.0)  # [batch, anchors, boxes]
        best = tf.argmax(overlap, axis=2, output_type=tf.int32)
        largest = tf.reduce_max(overlap, axis=2)
        # each true box has at least the anchor that fits it best
        forced = tf.one_hot(tf.argmax(overlap, axis=1), len(centres), axis=1) * tf.cast(real, tf.float32)[:, None]
        is_forced = tf.reduce_max(forced, axis=2) > 0
        best = tf.where(is_forced, tf.argmax(forced, axis=2, output_type=tf.int32), best)
        positive = is_forced | (largest >= POSITIVE)
        own = tf.gather(y, best, batch_dims=1)
        size = tf.maximum(own[..., 2:4] - own[..., :2], 1e-6)
        middle = own[..., :2] + size / 2
        offsets = [(middle - centres[:, :2]) / centres[:, 2:], tf.math.log(size / centres[:, 2:])]
        offsets = tf.concat(offsets, axis=2) / VARIANCES
        classes = tf.one_hot(tf.cast(own[..., 4], tf.int32), count) * tf.cast(positive, tf.float32)[..., None]
        counts = tf.cast(positive | (largest < NEGATIVE), tf.float32)[..., None]
        return tf.concat([offsets, classes, counts], axis=2)

    def loss(target, logits):
        offsets, classes, counts = target[..., :4], target[..., 4:-1], target[..., -1:]
        positive = tf.reduce_max(classes, axis=2)
        number = tf.maximum(tf.reduce_sum(positive, axis=1), 1.0)
        focal = keras.losses.binary_focal_crossentropy(
            classes[..., None], logits[..., 4:, None], True, ALPHA, GAMMA, from_logits=True
        )
        focal = tf.reduce_sum(focal * counts, axis=(1, 2))
        gap = tf.abs(offsets - logits[..., :4])
        smooth = tf.reduce_sum(tf.where(gap < 1, gap * gap / 2, gap - 0.5), axis=2)
        return (4 * focal + tf.reduce_sum(smooth * positive, axis=1)) / number

    def score(target, logits):
        classes = target[..., 4:-1]
        found = tf.reduce_sum(tf.cast(logits[..., 4:] > 0, tf.float32) * classes, axis=(1, 2))
        return found / tf.maximum(tf.reduce_sum(classes, axis=(1, 2)), 1.0)

    return Objective(loss, [keras.metrics.MeanMetricWrapper(score, name="score")], targets)


@keras.saving.register_keras_serializable("edge")
class Decode(keras.layers.Layer):
    """Logits [batch, anchors, 4 + classes] to boxes [batch, 100, 6]: y0 x0 y1 x1 score class, the surest first.

    Local maxima of each class on each level, the best 100, then greedy suppression as a fixed point: a box stays where
    no surer box that stays overlaps it. All operators are standard in ONNX and builtin in TFLite; the batch is free.
    Constants are made inside ``call``: one that is made outside becomes a second input of the converted model.
    """

    def __init__(self, levels, classes, **kwargs):
        super().__init__(**kwargs)
        self.levels, self.classes = levels, classes

    def get_config(self):
        return super().get_config() | {"levels": self.levels, "classes": self.classes}

    def maxima(self, scores):
        """Scores [batch, anchors, classes]; those that are not the largest among their neighbours become 0."""
        kept, start = [], 0
        for level in self.levels:
            rows, columns, depth = level["rows"], level["columns"], len(level["sizes"]) * self.classes
            size = rows * columns * len(level["sizes"])
            grid = tf.reshape(scores[:, start : start + size], (-1, rows, columns, depth))
            largest = tf.nn.max_pool2d(grid, 3, 1, "SAME")
            grid = grid * tf.cast(grid >= largest, tf.float32)
            kept.append(tf.reshape(grid, (-1, size, self.classes)))
            start += size
        return tf.concat(kept, axis=1)

    def call(self, logits):
        centres, total = anchors(self.levels), logits.shape[1]
        scores = tf.reshape(self.maxima(tf.sigmoid(logits[..., 4:])), (-1, total * self.classes))
        count = min(CANDIDATES, total * self.classes)
        score, place = tf.math.top_k(scores, count)
        anchor = place // self.classes
        label = tf.cast(place - anchor * self.classes, tf.float32)
        offsets = tf.gather(logits[..., :4], anchor, batch_dims=1) * VARIANCES
        own = tf.gather(tf.constant(centres), anchor)
        middle, size = own[..., :2] + offsets[..., :2] * own[..., 2:], own[..., 2:] * tf.exp(offsets[..., 2:])
        corners = tf.clip_by_value(tf.concat([middle - size / 2, middle + size / 2], axis=2), 0.0, 1.0)
        apart = corners + 2 * label[..., None]  # boxes of different classes never overlap
        surer = np.tril(np.ones((count, count), np.float32), -1)
        rivals = tf.cast(overlaps(apart, apart) > SUPPRESS, tf.float32) * surer
        keep = tf.ones_like(score)
        for _ in range(ROUNDS):
            keep = tf.cast(tf.linalg.matvec(rivals, keep) < 0.5, tf.float32)
        score = (score * keep)[..., None]
        boxes = tf.concat([corners, score, label[..., None]], axis=2)
        boxes = boxes * tf.cast(score > 0, tf.float32)  # no box is all zeros: which of equals it was is chance
        return tf.pad(boxes, [[0, 0], [0, CANDIDATES - count], [0, 0]])
