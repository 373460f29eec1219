"""From FastestDet's output map to boxes.

Formulas: https://github.com/dog-qiuqiu/FastestDet, ``utils/tool.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.detection import Detections
from lpot_examples.evaluation.nms import batched_nms

CLASSES = 80
SCORE_THRESHOLD = 0.001
IOU_THRESHOLD = 0.45
MAX_DETECTIONS = 100


def decode(
    output: NDArray[np.float32], sizes: NDArray[np.int64], *, category_ids: NDArray[np.int64]
) -> list[Detections]:
    """Decode a batch.

    Args:
        output: float32 [n, H, W, 85], or [n, 85, H, W] as the network in ONNX gives it: channel 0
            objectness p, 1-4 box r, 5-84 class probabilities c.
        sizes: int64 [n, 2], (width, height) of the original images, pixels.
        category_ids: int64 [80], the category id of each class.

    Raises:
        EvaluationError: If the output has another shape.
    """
    shape = getattr(output, "shape", None)
    if shape is not None and len(shape) == 4 and shape[1] == 5 + CLASSES != shape[3]:
        output = np.moveaxis(output, 1, -1)
        shape = output.shape
    if shape is None or len(shape) != 4 or shape[0] != len(sizes) or shape[3] != 5 + CLASSES:
        raise EvaluationError(
            f"FastestDet must give one array [{len(sizes)}, 22, 22, {5 + CLASSES}] for this batch; "
            f"it gave {type(output).__name__ if shape is None else list(shape)}. Use a model of "
            "this topology, or name its output in the yaml."
        )
    classes = output[..., 5:].argmax(axis=-1)
    scores = (
        np.clip(output[..., 0], 0, 1) ** 0.6 * np.clip(output[..., 5:].max(axis=-1), 0, 1) ** 0.4
    )
    boxes = _boxes(output[..., 1:5])
    return [
        _image(boxes[i] * np.tile(size, 2), scores[i], category_ids[classes[i]])
        for i, size in enumerate(sizes)
    ]


def _boxes(raw: NDArray[np.float32]) -> NDArray[np.float64]:
    """Box corners [n, H, W, 4] as fractions of the image, from r [n, H, W, 4]."""
    rows, columns = raw.shape[1:3]
    offsets, sides = np.tanh(raw[..., :2].astype(np.float64)), _sigmoid(raw[..., 2:])
    cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
    centres = (cells + offsets) / (columns, rows)
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1)


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(0.5 * x.astype(np.float64)))  # never overflows


def _image(
    boxes: NDArray[np.float64], scores: NDArray[np.float32], categories: NDArray[np.int64]
) -> Detections:
    keep = (scores > SCORE_THRESHOLD) & np.isfinite(boxes).all(axis=-1)
    boxes, scores, categories = boxes[keep], scores[keep], categories[keep]
    best = batched_nms(
        boxes, scores, categories, iou_threshold=IOU_THRESHOLD, max_detections=MAX_DETECTIONS
    )
    return Detections(boxes=boxes[best], scores=scores[best], categories=categories[best])
