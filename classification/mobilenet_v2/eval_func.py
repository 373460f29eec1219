"""MobileNetV2 scored by top-1 accuracy on ImageNet photographs."""

from __future__ import annotations

from pathlib import Path

from preprocess import TRANSFORM

from lpot_examples.data.imagenet import imagenet_images
from lpot_examples.data.loader import BatchLoader
from lpot_examples.evaluation.classification import TopKEvaluation


def build(
    *, dataset_location: Path | None = None, batch_size: int = 8, limit: int | None = None
) -> TopKEvaluation:
    """Return the evaluation of the images of ``labels.txt``, or of the first ``limit`` of them."""
    samples = imagenet_images(dataset_location, topology="mobilenet_v2", limit=limit)
    loader = BatchLoader(samples, TRANSFORM, batch_size)
    # Class 0 is background, so ImageNet class i has the score i + 1.
    return TopKEvaluation(loader, samples=len(samples), classes=1001, label_shift=1)
