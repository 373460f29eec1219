import time

import numpy as np
import pytest

from lpot_examples.evaluation.nms import batched_nms


def plain_nms(boxes, scores, classes, iou_threshold, max_detections):
    """The textbook loop, one pair at a time."""
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        for j in kept:
            low, high = (
                np.maximum(boxes[i, :2], boxes[j, :2]),
                np.minimum(boxes[i, 2:], boxes[j, 2:]),
            )
            shared = np.prod(np.maximum(high - low, 0))
            areas = sum(np.prod(boxes[k, 2:] - boxes[k, :2]) for k in (i, j))
            if classes[i] == classes[j] and shared > iou_threshold * (areas - shared):
                break
        else:
            kept.append(i)
    return kept[:max_detections]


@pytest.mark.parametrize("count", [0, 1, 40, 400])  # 400 spans two blocks
@pytest.mark.parametrize("limit", [10, 10_000])
def test_equals_the_textbook_loop(count, limit):
    rng = np.random.default_rng(count)
    corner = rng.uniform(-50, 100, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0, 60, (count, 2))], axis=1)
    scores, classes = rng.random(count).round(2), rng.integers(0, 3, count)
    kept = batched_nms(boxes, scores, classes, iou_threshold=0.45, max_detections=limit)
    assert kept.tolist() == plain_nms(boxes, scores, classes, 0.45, limit)


def test_classes_do_not_suppress_each_other():
    boxes = np.array([[0, 0, 10, 10]] * 3)
    kept = batched_nms(
        boxes, np.array([0.1, 0.9, 0.5]), np.array([1, 1, 2]), iou_threshold=0.5, max_detections=9
    )
    assert kept.tolist() == [1, 2]


@pytest.mark.alone
def test_speed():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 300, (484, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 80, (484, 2))], axis=1)
    scores, classes = rng.random(484), rng.integers(0, 80, 484)
    start = time.perf_counter()
    for _ in range(20):
        batched_nms(boxes, scores, classes, iou_threshold=0.45, max_detections=100)
    assert time.perf_counter() - start < 1.0
