"""Calibration batches of SqueezeNet: ImageNet photographs."""

from __future__ import annotations

from pathlib import Path

from preprocess import TRANSFORM

from lpot_examples.data.imagenet import imagenet_calibration
from lpot_examples.data.loader import BatchLoader


def build(*, dataset_location: Path | None = None, batch_size: int = 1) -> BatchLoader:
    """Return the loader; the yaml's ``sampling_size`` says how many images are taken from it."""
    samples = imagenet_calibration(dataset_location, topology="squeezenet")
    return BatchLoader(samples, TRANSFORM, batch_size)
