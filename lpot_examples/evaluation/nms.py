"""Non-maximum suppression of boxes in NumPy, fast enough for hundreds of images per second."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 256  # candidates compared with each other at once, which bounds memory


def batched_nms(
    boxes: NDArray[Any],
    scores: NDArray[Any],
    classes: NDArray[Any],
    *,
    iou_threshold: float,
    max_detections: int,
) -> NDArray[np.int64]:
    """Keep the best boxes of one image that overlap no better box of the same class.

    Greedy, as usual: candidates are visited by descending score (equal scores in the given
    order), and one is dropped when its IoU with a kept box of its class exceeds the threshold.

    Args:
        boxes: [N, 4], corners (x1, y1, x2, y2) in any one unit, x1 ≤ x2, y1 ≤ y2, finite.
        scores: [N], higher is better, finite.
        classes: integer [N].
        iou_threshold: In [0, 1].
        max_detections: At most this many are kept, over all classes.

    Returns:
        int64 [≤ max_detections], indices of the kept boxes by descending score.
    """
    order = np.argsort(-scores, kind="stable")
    corners = np.ascontiguousarray(np.asarray(boxes, dtype=np.float64)[order].T)
    kinds = np.asarray(classes)[order]
    kept = np.empty(0, dtype=np.int64)
    for start in range(0, len(order), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(order)))
        alive = ~np.any(_overlap(corners, kinds, kept, rows, iou_threshold), axis=0)
        rows = rows[alive]
        within = np.triu(_overlap(corners, kinds, rows, rows, iou_threshold), k=1)
        alive = np.ones(len(rows), dtype=np.bool_)
        for row in np.flatnonzero(within.any(axis=1)):
            if alive[row]:
                alive &= ~within[row]
        kept = np.concatenate([kept, rows[alive]])
        if len(kept) >= max_detections:
            break
    return np.asarray(order[kept[:max_detections]], dtype=np.int64)


def _overlap(
    corners: NDArray[np.float64],
    kinds: NDArray[Any],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    threshold: float,
) -> NDArray[np.bool_]:
    """Tell for pairs [A, B] of one class whether their IoU exceeds the threshold.

    Written as ``shared > threshold * union``, which needs no division where both are empty.
    """
    left, top, right, bottom = corners[:, first, None]
    left_b, top_b, right_b, bottom_b = corners[:, None, second]
    width = np.minimum(right, right_b) - np.maximum(left, left_b)
    height = np.minimum(bottom, bottom_b) - np.maximum(top, top_b)
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    areas = (right - left) * (bottom - top) + (right_b - left_b) * (bottom_b - top_b)
    same = kinds[first, None] == kinds[None, second]
    exceeds: NDArray[np.bool_] = (shared > threshold * (areas - shared)) & same
    return exceeds
