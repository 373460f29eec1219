"""What training, calibration and evaluation of ``ssd_shapes`` must agree on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.shapes import IMAGE_SIZE
from lpot_examples.evaluation.ssd import square_anchors

INPUT_NAME = "input"
OUTPUT_NAMES = ("class_logits", "box_offsets")

FEATURE_MAPS = ((12, (13.0, 19.0, 28.0)), (6, (38.0, 54.0)))
"""Cells per side and anchor sides in pixels of each feature map."""

CALIBRATION_SCENES = 96
VALIDATION_SCENES = 256


def anchors() -> NDArray[np.float32]:
    """Return the anchors of the network's outputs: float32 [504, 4], cx, cy, w, h in pixels."""
    return square_anchors(IMAGE_SIZE, FEATURE_MAPS)


def preprocess(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the network's input: float32 of the same shape, in [-1, 1].

    Args:
        images: uint8 [batch, 96, 96, 3], RGB.
    """
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)
