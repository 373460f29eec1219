"""Calibration batches of FastestDet: photographs of COCO train2017."""

from __future__ import annotations

from pathlib import Path

from preprocess import TRANSFORM

from lpot_examples.data.coco import coco_calibration
from lpot_examples.data.loader import BatchLoader


def build(*, dataset_location: Path | None = None, batch_size: int = 1) -> BatchLoader:
    """Return the loader; the yaml's ``sampling_size`` says how many images are taken from it."""
    samples = coco_calibration(dataset_location, topology="fastestdet")
    return BatchLoader(samples, TRANSFORM, batch_size)
