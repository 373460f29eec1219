"""From masks of boxes to masks of the image, in COCO's run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5
"""A pixel belongs to the object where its probability is greater."""

_LEAST_SIDE = 1e-4  # of a box, relative to the image; guards the division as the networks' own code

Box = Sequence[float] | NDArray[Any]


def encode_masks(
    masks: NDArray[Any], boxes: NDArray[Any], size: tuple[int, int]
) -> tuple[dict[str, Any], ...]:
    """Paste masks into their image and encode them.

    Args:
        masks: [N, mh, mw], probabilities in [0, 1], each spread over its box.
        boxes: [N, 4], corners (ymin, xmin, ymax, xmax) relative to the image.
        size: (width, height) of the image, pixels.

    Returns:
        For each mask COCO's compressed run lengths: ``size`` (height, width) and ``counts``.
    """
    from pycocotools import mask as coco_mask

    canvas = np.zeros((size[1], size[0]), dtype=np.uint8, order="F")
    encoded = []
    for mask, box in zip(masks, boxes, strict=True):
        rows, columns, part = paste(mask, box, size)
        canvas[rows, columns] = part
        encoded.append(coco_mask.encode(canvas))
        canvas[rows, columns] = 0
    return tuple(encoded)


def paste(
    mask: NDArray[Any], box: Box, size: tuple[int, int]
) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Spread one mask over its box with bilinear interpolation.

    The corners of the mask lie on those of the box, and the image's first and last pixel on its
    edges: what ``crop_and_resize`` gives for the whole image seen from the box, as
    ``reframe_box_masks_to_image_masks`` of TensorFlow's object detection API does,
    https://github.com/tensorflow/models/blob/master/research/object_detection/utils/ops.py.

    Args:
        mask: [mh, mw], probabilities; NaN belongs to no object.
        box: Corners (ymin, xmin, ymax, xmax) relative to the image; it may reach beyond it.
        size: (width, height) of the image, pixels.

    Returns:
        The rows and columns of the image that the box covers, and whether each of these pixels
        belongs to the object.
    """
    top, left, bottom, right = (float(side) for side in box)
    rows, down = _positions(top, bottom, size[1], mask.shape[0])
    columns, across = _positions(left, right, size[0], mask.shape[1])
    values = _between(_between(mask.astype(np.float64), down).T, across).T
    return rows, columns, values > THRESHOLD


def _positions(low: float, high: float, pixels: int, cells: int) -> tuple[slice, NDArray[Any]]:
    """Return the pixels that an interval covers, and where in the mask each of them lies."""
    at = (np.arange(pixels) / max(pixels - 1, 1) - low) / max(high - low, _LEAST_SIDE)
    inside = np.flatnonzero((at >= 0) & (at <= 1))
    if not inside.size:
        return slice(0, 0), np.empty(0)
    return slice(int(inside[0]), int(inside[-1]) + 1), at[inside] * (cells - 1)


def _between(values: NDArray[Any], positions: NDArray[Any]) -> NDArray[Any]:
    """Interpolate the rows [n, m] of an array at fractional positions [k]; returns [k, m]."""
    before = np.floor(positions).astype(np.int64)
    after = np.minimum(before + 1, len(values) - 1)
    share = (positions - before)[:, None]
    return np.asarray(values[before] * (1 - share) + values[after] * share)
