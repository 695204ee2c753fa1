"""Anchors, targets and decoding: what goes in as a true box comes out as that box."""

import numpy as np
import pytest
import tensorflow as tf

from edge.data.shards import Spec, Tensor
from edge.heads import Detection, boxes, detection

LEVELS = [
    {"rows": 8, "columns": 6, "sizes": [[0.2, 0.2], [0.2, 0.4]]},
    {"rows": 4, "columns": 3, "sizes": [[0.5, 0.5]]},
]
SPEC = Spec(Tensor("x", (4,)), Tensor("scores", (100, 6)), ("cat", "dog", "fox"), {"levels": LEVELS})


@pytest.fixture
def truth() -> np.ndarray:
    """Boxes of four pictures, float32 [4, 3, 5]; the last picture has none."""
    random = np.random.default_rng(5)
    found = np.full((4, 3, 5), -1, np.float32)
    for picture in range(3):
        for box in range(picture + 1):
            size, corner = random.uniform(0.15, 0.45, 2), random.uniform(0, 0.2, 2) + 0.3 * box * np.array([1, 0.5])
            found[picture, box] = [*corner, *np.minimum(corner + size, 1), random.integers(3)]
    return found


def test_true_boxes_survive_targets_and_decoding(truth):
    """Logits that say just what the targets say are decoded to the true boxes, each once, of the right class."""
    targets = Detection().objective(None, SPEC).targets(tf.constant(truth)).numpy()
    logits = np.concatenate([targets[..., :4], np.where(targets[..., 4:-1] > 0, 8.0, -12.0)], axis=2)
    outputs = boxes.Decode(LEVELS, 3)(tf.constant(logits.astype(np.float32))).numpy()
    assert outputs.shape == (4, 100, 6)
    assert Detection().right(truth, outputs) == pytest.approx(1)
    found = detection.sure(outputs[1])
    for box in truth[1][truth[1][:, 4] >= 0]:
        assert np.abs(found[:, [0, 1, 2, 3, 5]] - box).max(axis=1).min() < 1e-3


def test_suppression_is_the_greedy_one():
    """The fixed point keeps the boxes that a loop over them, the surest first, keeps."""
    random = np.random.default_rng(7)
    logits = random.normal(0, 1.5, (6, 108, 7)).astype(np.float32)
    layer = boxes.Decode(LEVELS, 3)
    outputs = layer(tf.constant(logits)).numpy()
    boxes_before = unsuppressed(layer, logits)
    for found, candidates in zip(outputs, boxes_before, strict=True):
        greedy = []
        for box in candidates[candidates[:, 4] > 0]:
            rivals = [other for other in greedy if other[5] == box[5]]
            if not rivals or detection.iou(box[None], np.array(rivals)).max() <= boxes.SUPPRESS:
                greedy.append(box)
        np.testing.assert_allclose(found[found[:, 4] > 0], np.array(greedy), atol=1e-5)


def unsuppressed(layer, logits: np.ndarray) -> np.ndarray:
    """The candidates before suppression, the surest first."""
    before, boxes.SUPPRESS = boxes.SUPPRESS, 2.0
    try:
        return layer(tf.constant(logits)).numpy()
    finally:
        boxes.SUPPRESS = before
