"""ResNet-50 v2 scored by top-1 accuracy on ImageNet photographs."""

from __future__ import annotations

from pathlib import Path

from q_dataloader import NETWORK

from lpot_examples.evaluation.classification import TopKEvaluation


def build(
    *, dataset_location: Path | None = None, batch_size: int = 8, limit: int | None = None
) -> TopKEvaluation:
    """Return the evaluation of the labelled images, or of the first ``limit`` of them."""
    return NETWORK.evaluation(dataset_location, batch_size=batch_size, limit=limit)
