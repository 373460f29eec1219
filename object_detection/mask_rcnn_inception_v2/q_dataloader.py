"""Calibration images of mask_rcnn_inception_v2: photographs of COCO."""

from __future__ import annotations

from pathlib import Path

from lpot_examples.data.images import ImageLoader
from lpot_examples.zoo.detection import CocoDetector

NETWORK = CocoDetector(name="mask_rcnn_inception_v2", masks=True)


def build(*, dataset_location: Path | None = None, batch_size: int = 1) -> ImageLoader:
    """Return the loader; the yaml's ``sampling_size`` says how many images are taken from it."""
    return NETWORK.calibration(dataset_location, batch_size=batch_size)
