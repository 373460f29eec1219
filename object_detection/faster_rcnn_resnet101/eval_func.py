"""faster_rcnn_resnet101 scored by COCO mAP on val2017."""

from __future__ import annotations

from pathlib import Path

from q_dataloader import NETWORK

from lpot_examples.evaluation.zoo_detection import ZooDetectionEvaluation


def build(
    *, dataset_location: Path | None = None, batch_size: int = 1, limit: int | None = None
) -> ZooDetectionEvaluation:
    """Return the evaluation of the images of val2017, or of the first ``limit`` of them."""
    return NETWORK.evaluation(dataset_location, batch_size=batch_size, limit=limit)
