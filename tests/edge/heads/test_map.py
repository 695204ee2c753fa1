"""The mean average precision of detection is that of pycocotools."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edge.heads import Detection, detection

PICTURES, CLASSES, SIDE = 40, 3, 64


def case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True boxes and outputs on a coarse grid with few different scores, so that IoUs and scores are often equal."""
    random = np.random.default_rng(seed)
    y = np.full((PICTURES, 8, 5), -1, np.float32)
    outputs = np.zeros((PICTURES, 100, 6), np.float32)
    for picture in range(PICTURES):
        corners, found = random.integers(0, 12, (random.integers(0, 9), 2)) * 4, []
        for row, corner in enumerate(corners):
            box = [*corner, *(corner + random.integers(1, 5, 2) * 4), random.integers(CLASSES)]
            y[picture, row] = box
            for _ in range(random.integers(0, 3)):
                moved = np.array(box[:4]) + random.integers(-3, 4, 4)
                moved[2:] = np.maximum(moved[2:], moved[:2] + 1)
                label = box[4] if random.random() < 0.8 else random.integers(CLASSES)
                found.append([*moved, random.integers(1, 11) / 10, label])
            if random.random() < 0.3:
                found.append([*box[:4], random.integers(1, 11) / 10, box[4]])
        for row, box in enumerate(sorted(found, key=lambda box: -box[4])):
            outputs[picture, row] = box
    y[..., :4] = np.where(y[..., 4:] >= 0, y[..., :4] / SIDE, -1)
    outputs[..., :4] /= SIDE  # a power of two: shares and pixels are exactly the same boxes
    return y, outputs


def coco(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Average precision by class and IoU as pycocotools has it, float64 [classes, 10]."""

    def sides(box: np.ndarray) -> list[float]:
        y0, x0, y1, x1 = (float(edge) * SIDE for edge in box[:4])
        return [x0, y0, x1 - x0, y1 - y0]

    truths = [
        {"image_id": picture, "category_id": int(box[4]), "bbox": sides(box), "area": sides(box)[2] * sides(box)[3]}
        for picture, boxes in enumerate(y)
        for box in boxes
        if box[4] >= 0
    ]
    truths = [truth | {"id": number, "iscrowd": 0} for number, truth in enumerate(truths, 1)]
    found = [
        {"image_id": picture, "category_id": int(box[5]), "bbox": sides(box), "score": float(box[4])}
        for picture, boxes in enumerate(outputs)
        for box in boxes
        if box[4] > 0
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": picture} for picture in range(len(y))],
            "categories": [{"id": label} for label in range(CLASSES)],
            "annotations": truths,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, 2].mean(axis=1).T  # of all areas, 100 boxes a picture


@pytest.mark.parametrize("seed", range(12))
def test_average_precision_is_that_of_pycocotools(seed):
    """Random boxes with equal scores and equal IoUs: every class at every IoU to 1e-6, and so the two means."""
    y, outputs = case(seed)
    expected = coco(y, outputs)
    own = np.array([detection.average_precision(y, outputs, label) for label in range(CLASSES)])
    np.testing.assert_allclose(own, expected, atol=1e-6)
    scores = Detection().score(y, outputs)
    assert scores["map50"] == pytest.approx(expected[:, 0].mean(), abs=1e-6)
    assert scores["map50_95"] == pytest.approx(expected.mean(), abs=1e-6)


def test_a_class_of_which_nothing_is_found():
    """A class with true boxes and no found one counts as 0, as in pycocotools."""
    y, outputs = case(3)
    outputs[outputs[..., 5] == 2] = 0
    own = np.array([detection.average_precision(y, outputs, label) for label in range(CLASSES)])
    np.testing.assert_allclose(own, coco(y, outputs), atol=1e-6)
    assert (own[2] == 0).all()
