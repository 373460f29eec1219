"""From the raw outputs of ssd_shapes to boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.shapes import CLASSES, IMAGE_SIZE
from lpot_examples.evaluation.detection import Detections
from lpot_examples.evaluation.ssd import square_anchors, ssd_detections

FEATURE_MAPS = ((12, (16.0, 22.0, 30.0)), (6, (40.0, 55.0)))
"""Cells per side and the sides of the anchors, pixels, of each feature map."""

ANCHORS = square_anchors(IMAGE_SIZE, FEATURE_MAPS)


def decode(output: Any, sizes: NDArray[np.int64]) -> list[Detections]:
    """Decode a batch.

    Args:
        output: Class logits [n, 504, 8] and box offsets [n, 504, 4].
        sizes: Not needed; every scene has 96 x 96 pixels.

    Raises:
        EvaluationError: If the output has other shapes.
    """
    del sizes
    return ssd_detections(output, ANCHORS, classes=len(CLASSES), image_size=IMAGE_SIZE)
