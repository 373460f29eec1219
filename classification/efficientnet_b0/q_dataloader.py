"""Calibration batches of EfficientNet-B0: ImageNet photographs."""

from __future__ import annotations

from pathlib import Path

from lpot_examples.data.loader import BatchLoader
from lpot_examples.zoo.classification import ImageClassifier

NETWORK = ImageClassifier.of_catalogue("efficientnet_b0")


def build(*, dataset_location: Path | None = None, batch_size: int = 1) -> BatchLoader:
    """Return the loader; the yaml's ``sampling_size`` says how many images are taken from it."""
    return NETWORK.calibration(dataset_location, batch_size=batch_size)
