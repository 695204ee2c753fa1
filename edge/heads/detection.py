"""Boxes in a picture: outputs float32 [n, 100, 6], a row a box: y0 x0 y1 x1 score class; score 0: no box.

y is float32 [n, most, 5]: y0 x0 y1 x1 class; class -1: no box. Coordinates are shares of the height and of the width.
The anchors are laid out by ``spec.metadata["levels"]``: a list of {"rows", "columns", "sizes": [[height, width], …]}.
"""

import numpy as np
import pandas as pd

from edge.core.errors import UserError
from edge.data.shards import Spec
from edge.heads.head import Head, Objective

MATCH = 0.5  # least IoU of a box with the true one that it finds
SAME = 0.9  # least IoU of two boxes that say the same
SURE = 0.5  # least score of a box that is shown, counted as right or compared
NONE = "background"
RECALLS = np.linspace(0, 1, 101)  # at which precision is read (COCO)
IOUS = np.linspace(0.5, 0.95, 10)  # that a box is asked for in turn (COCO)


class Detection(Head):
    """Single-shot detection over anchors (Liu et al. 2016, arXiv:1512.02325), focal loss (Lin et al. 2017)."""

    headline = "map50"

    def objective(self, config, spec: Spec) -> Objective:
        """Focal loss and smooth L1 of logits [batch, anchors, 4 + classes]; ``score`` is the recall of the anchors."""
        from edge.heads import boxes

        return boxes.objective(spec)

    def finish(self, model, config, spec: Spec):
        """Decode and suppress inside the graph: ``scores``, float32 [batch, 100, 6]."""
        import keras

        from edge.heads import boxes

        layer = boxes.Decode(spec.metadata["levels"], len(spec.labels), name="scores")
        return keras.Model(model.input, layer(model.output))

    def layers(self) -> dict[str, type]:
        """The layer that decodes."""
        from edge.heads import boxes

        return {"edge>Decode": boxes.Decode}

    def score(self, y: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        """Mean average precision as COCO has it, over the classes that have a true box.

        ``map50`` asks for an IoU of 0.5; ``map50_95`` is the mean over 0.5, 0.55, …, 0.95. Raises UserError where no
        picture has a true box.
        """
        classes = np.unique(y[..., 4][y[..., 4] >= 0])
        if not len(classes):
            raise UserError(f"none of the {len(y)} pictures has a true box, so mAP is not known: score more pictures")
        found = np.mean([average_precision(y, outputs, label) for label in classes], axis=0)
        return {"map50": float(found[0]), "map50_95": float(found.mean())}

    def right(self, y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """F1 of the boxes with a score of at least 0.5; 1 where there is no box and none was found."""
        found = []
        for truth, boxes in zip(y, outputs, strict=True):
            truth, boxes = truth[truth[:, 4] >= 0], sure(boxes)
            hits = sum(index >= 0 for index in matched(truth, boxes, MATCH))
            total = len(truth) + len(boxes)
            found.append(2 * hits / total if total else 1.0)
        return np.array(found)

    def confidence(self, outputs: np.ndarray) -> np.ndarray:
        """The largest score of the picture's boxes."""
        return outputs[..., 4].max(axis=1).astype(np.float64)

    def answers(self, y: np.ndarray, outputs: np.ndarray, spec: Spec) -> pd.DataFrame:
        """A row for each true box and for each box that finds none, which is then ``background``.

        Matching ignores the class, so that a box of the wrong class is a confusion of the two.
        """
        rows = []
        for example, (truth, boxes) in enumerate(zip(y, outputs, strict=True)):
            truth, boxes = truth[truth[:, 4] >= 0], sure(boxes)
            owner = matched(truth, boxes, MATCH, any_class=True)
            predicted = {index: spec.labels[int(box[5])] for index, box in zip(owner, boxes, strict=True) if index >= 0}
            rows += [(example, spec.labels[int(box[4])], predicted.get(i, NONE)) for i, box in enumerate(truth)]
            pairs = zip(owner, boxes, strict=True)
            rows += [(example, NONE, spec.labels[int(box[5])]) for index, box in pairs if index < 0]
        return pd.DataFrame(rows, columns=["example", "actual", "predicted"])

    def agreement(self, one: np.ndarray, other: np.ndarray) -> float:
        """The share of boxes with a score of at least 0.5 that both have, of the same class and with an IoU of 0.9."""
        hits = total = 0
        for first, second in zip(one, other, strict=True):
            truth = sure(first)[:, [0, 1, 2, 3, 5]]
            boxes = sure(second)
            hits += 2 * sum(index >= 0 for index in matched(truth, boxes, SAME))
            total += len(truth) + len(boxes)
        return hits / total if total else 1.0

    def difference(self, one: np.ndarray, other: np.ndarray) -> float:
        """Largest difference between a box and the most similar box of the other model, whatever their ranks.

        Coordinates and class count as much as the box's score: where a box that nobody would see lies does not matter.
        """
        largest = 0.0
        for first, second in zip(one.astype(np.float64), other.astype(np.float64), strict=True):
            first, second = (boxes * np.where(np.arange(6) == 4, 1, boxes[:, 4:5]) for boxes in (first, second))
            gaps = np.abs(first[:, None] - second[None]).max(axis=-1)
            largest = max(largest, gaps.min(axis=1).max(), gaps.min(axis=0).max())
        return float(largest)


def sure(boxes: np.ndarray) -> np.ndarray:
    """The boxes [n, 6] of a picture with a score of at least 0.5, the surest first."""
    kept = boxes[boxes[:, 4] >= SURE]
    return kept[np.argsort(-kept[:, 4], kind="stable")]


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [n, 4+] and [m, 4+]: float64 [n, m]."""
    one, other = one[:, None, :4].astype(np.float64), other[None, :, :4].astype(np.float64)
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    areas = [np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1) for boxes in (one, other)]
    return shared / np.maximum(areas[0] + areas[1] - shared, 1e-12)


def matched(truth: np.ndarray, boxes: np.ndarray, least: float, any_class: bool = False) -> list[int]:
    """The row of ``truth`` [n, 5] that each of ``boxes`` [m, 6], the surest first, finds; -1: none that is free."""
    overlap = iou(boxes, truth)
    if not any_class:
        overlap = np.where(boxes[:, 5][:, None] == truth[:, 4][None], overlap, 0)
    return assigned(overlap, least)


def assigned(overlap: np.ndarray, least: float) -> list[int]:
    """The column that each row of IoUs [boxes, true boxes] takes, the best that is free; of equals the last (COCO)."""
    owner, free = [], np.ones(overlap.shape[1], bool)
    for row in overlap:
        open_to = np.flatnonzero(free & (row >= least))
        best = int(open_to[row[open_to] == row[open_to].max()][-1]) if len(open_to) else -1
        owner.append(best)
        if best >= 0:
            free[best] = False
    return owner


def average_precision(y: np.ndarray, outputs: np.ndarray, label: float) -> np.ndarray:
    """Average precision of one class at each of IOUS: the mean of the precision at 101 recalls (Lin et al. 2014, COCO).

    float64 [10]. Boxes of equal score count in the order of the pictures.
    """
    scores, hits, count = [], [[] for _ in IOUS], 0
    for truth, boxes in zip(y, outputs, strict=True):
        truth = truth[truth[:, 4] == label]
        boxes = boxes[(boxes[:, 5] == label) & (boxes[:, 4] > 0)]
        boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")]
        overlap = iou(boxes, truth)
        count += len(truth)
        scores.append(boxes[:, 4])
        for found, least in zip(hits, IOUS, strict=True):
            found += [index >= 0 for index in assigned(overlap, least)]
    order = np.argsort(-np.concatenate(scores), kind="stable")
    ranks = np.arange(1, len(order) + 1)
    averages = []
    for found in hits:
        right = np.cumsum(np.array(found, float)[order])
        envelope = np.maximum.accumulate((right / ranks)[::-1])[::-1]
        places = np.searchsorted(right / count, RECALLS, side="left")
        averages.append(np.append(envelope, 0.0)[places].mean())
    return np.array(averages)
