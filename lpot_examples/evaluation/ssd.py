"""Anchors and box decoding of single-shot detectors (SSD), in NumPy.

Offsets follow Liu et al., "SSD: Single Shot MultiBox Detector" (2016), section 2.2, with the
customary variances 0.1 and 0.2. Class scores are independent sigmoids without a background class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.detection import Detections
from lpot_examples.evaluation.nms import batched_nms

VARIANCES = (0.1, 0.2)
"""Scales of the centre and of the size offsets."""

MAX_LOG_SCALE = 4.0
"""Decoded sides are at most e^4 times the anchor's, so no offset overflows."""

Floats = NDArray[np.float32]


def square_anchors(image_size: int, feature_maps: Sequence[tuple[int, Sequence[float]]]) -> Floats:
    """Return square anchors centred on the cells of feature maps.

    Args:
        image_size: Height and width of the network's input, pixels.
        feature_maps: Of each map, its height and width in cells and its anchors' sides in pixels.

    Returns:
        float32 [anchors, 4], cx, cy, width, height in pixels; ordered by map, row, column, side,
        as convolutional heads lay them out when their [batch, row, column, side x values] outputs
        are reshaped to [batch, -1, values] and joined.
    """
    per_map = []
    for cells, sides in feature_maps:
        centres = (np.arange(cells) + 0.5) * (image_size / cells)
        cy, cx, side = np.meshgrid(centres, centres, np.asarray(sides, float), indexing="ij")
        per_map.append(np.stack([cx, cy, side, side], axis=-1).reshape(-1, 4))
    return np.concatenate(per_map).astype(np.float32)


def decode_boxes(offsets: Floats, anchors: Floats) -> Floats:
    """Return the boxes that a network's offsets mean.

    Args:
        offsets: float32 [..., 4], the raw box output: dx, dy, dw, dh.
        anchors: float32 [..., 4], cx, cy, width, height.

    Returns:
        float32 [..., 4], corners x0, y0, x1, y1, in the unit of the anchors.
    """
    centre_scale, size_scale = (np.float32(v) for v in VARIANCES)
    centre = anchors[..., :2] + offsets[..., :2] * centre_scale * anchors[..., 2:]
    log_scale = np.minimum(offsets[..., 2:] * size_scale, np.float32(MAX_LOG_SCALE))
    half = anchors[..., 2:] * np.exp(log_scale) * np.float32(0.5)
    return np.concatenate([centre - half, centre + half], axis=-1)


def ssd_detections(
    output: Any,
    anchors: Floats,
    *,
    classes: int,
    image_size: int,
    candidates: int = 200,
    score_threshold: float = 0.01,
    iou_threshold: float = 0.5,
) -> list[Detections]:
    """Turn a detector's raw outputs for a batch into at most 100 detections per image.

    Args:
        output: The pair of class logits, float [batch, anchors, classes], before the sigmoid, and
            box offsets, float [batch, anchors, 4].
        anchors: float32 [anchors, 4], as `square_anchors` returns them.
        classes: How many; class ``i`` becomes category id ``i + 1``.
        image_size: Boxes are clipped to [0, image_size] pixels.
        candidates: How many (anchor, class) pairs of an image enter the suppression.
        score_threshold: Pairs with a lower score are no detections, in [0, 1].
        iou_threshold: The overlap above which the weaker box of a class is dropped, in [0, 1].

    Raises:
        EvaluationError: If the output is not such a pair.
    """
    logits, offsets = _checked(output, len(anchors), classes)
    flat = logits.reshape(len(logits), -1)
    # int8 networks give many equal logits; a stable order keeps their ranking reproducible.
    best = np.argsort(-flat, axis=1, kind="stable")[:, :candidates]
    values = np.take_along_axis(flat, best, axis=1).astype(np.float64)
    scores = 0.5 * (1 + np.tanh(0.5 * values))  # the sigmoid, without overflow
    rows, categories = best // classes, best % classes + 1
    offsets = np.take_along_axis(offsets, rows[..., None], axis=1)
    boxes = np.clip(decode_boxes(offsets, anchors[rows]), 0, image_size)
    usable = (scores >= score_threshold) & np.isfinite(boxes).all(axis=-1)
    return [
        _image(boxes[i, keep], scores[i, keep], categories[i, keep], iou_threshold)
        for i, keep in enumerate(usable)
    ]


def _image(
    boxes: Floats, scores: NDArray[np.float64], categories: NDArray[np.int64], threshold: float
) -> Detections:
    kept = batched_nms(boxes, scores, categories, iou_threshold=threshold, max_detections=100)
    return Detections(boxes=boxes[kept], scores=scores[kept], categories=categories[kept])


def _checked(output: Any, anchors: int, classes: int) -> tuple[Floats, Floats]:
    arrays = output if isinstance(output, (tuple, list)) else (output,)
    shapes = [list(np.shape(array)) for array in arrays]
    wanted = [[anchors, classes], [anchors, 4]]
    if [shape[1:] for shape in shapes] != wanted or shapes[0][0] != shapes[1][0]:
        raise EvaluationError(
            f"The detector must give class logits [batch, {anchors}, {classes}] and box offsets "
            f"[batch, {anchors}, 4], in this order; it gave {' and '.join(map(str, shapes))}. "
            "Use a model of this topology, or correct the outputs in the yaml."
        )
    logits, offsets = (np.asarray(array, dtype=np.float32) for array in arrays)
    return logits, offsets
