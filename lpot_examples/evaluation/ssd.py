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


def coco_detections(
    class_logits: Floats,
    box_offsets: Floats,
    anchors: Floats,
    *,
    image_ids: Sequence[int],
    image_size: int,
    candidates: int = 200,
    score_threshold: float = 0.01,
    iou_threshold: float = 0.5,
) -> list[dict[str, Any]]:
    """Turn a detector's raw outputs into COCO results, at most 100 an image.

    Args:
        class_logits: float32 [batch, anchors, classes], before the sigmoid; class ``i`` becomes
            category id ``i + 1``.
        box_offsets: float32 [batch, anchors, 4].
        anchors: float32 [anchors, 4], as `square_anchors` returns them.
        image_ids: One id per image of the batch.
        image_size: Boxes are clipped to [0, image_size] pixels.
        candidates: How many (anchor, class) pairs of an image enter the suppression.
        score_threshold: Pairs with a lower score are no detections, in [0, 1].
        iou_threshold: The overlap above which the weaker box of a class is dropped, in [0, 1].

    Raises:
        EvaluationError: If the outputs' shapes do not fit the anchors.
    """
    _check_shapes(class_logits, box_offsets, len(anchors))
    batch, _, classes = class_logits.shape
    flat = class_logits.reshape(batch, -1)
    # int8 networks give many equal logits; a stable order keeps their ranking reproducible.
    best = np.argsort(-flat, axis=1, kind="stable")[:, :candidates]
    logits = np.take_along_axis(flat, best, axis=1).astype(np.float64)
    scores = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    rows = best // classes
    offsets = np.take_along_axis(box_offsets, rows[..., None], axis=1)
    boxes = np.clip(decode_boxes(offsets, anchors[rows]), 0, image_size)
    results: list[dict[str, Any]] = []
    for i, image_id in enumerate(image_ids):
        count = int(np.count_nonzero(scores[i] >= score_threshold))
        kinds = best[i, :count] % classes
        kept = batched_nms(
            boxes[i, :count],
            scores[i, :count],
            kinds,
            iou_threshold=iou_threshold,
            max_detections=100,
        )
        results += _records(image_id, boxes[i, kept], scores[i, kept], kinds[kept])
    return results


def _records(
    image_id: int, boxes: Floats, scores: NDArray[np.float64], kinds: NDArray[np.int64]
) -> list[dict[str, Any]]:
    sized = boxes.astype(np.float64)
    sized[:, 2:] -= sized[:, :2]
    rows = zip(sized.tolist(), scores.tolist(), kinds.tolist(), strict=True)
    return [
        {"image_id": image_id, "category_id": kind + 1, "bbox": box, "score": score}
        for box, score, kind in rows
    ]


def _check_shapes(class_logits: Floats, box_offsets: Floats, anchors: int) -> None:
    if (
        class_logits.ndim != 3
        or box_offsets.ndim != 3
        or class_logits.shape[:2] != box_offsets.shape[:2]
        or box_offsets.shape[1:] != (anchors, 4)
    ):
        raise EvaluationError(
            f"The detector must return class logits [batch, {anchors}, classes] and box offsets "
            f"[batch, {anchors}, 4], in this order; it returned {list(class_logits.shape)} and "
            f"{list(box_offsets.shape)}. Check the output names of the spec."
        )
