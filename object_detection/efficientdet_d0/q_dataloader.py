"""Calibration images of efficientdet_d0: photographs of COCO."""

from __future__ import annotations

from pathlib import Path

from lpot_examples.data.images import ImageLoader
from lpot_examples.zoo.detection import CocoDetector

NETWORK = CocoDetector(name="efficientdet_d0")


def build(*, dataset_location: Path | None = None, batch_size: int = 1) -> ImageLoader:
    """Return the loader; the yaml's ``sampling_size`` says how many images are taken from it."""
    return NETWORK.calibration(dataset_location, batch_size=batch_size)
