"""FastestDet scored by COCO mAP on val2017."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from decode import CLASSES, decode
from preprocess import TRANSFORM

from lpot_examples.data.coco import coco_images
from lpot_examples.data.loader import BatchLoader
from lpot_examples.errors import DataError
from lpot_examples.evaluation.detection import DetectionEvaluation


def build(
    *, dataset_location: Path | None = None, batch_size: int = 8, limit: int | None = None
) -> DetectionEvaluation:
    """Return the evaluation of the images of val2017, or of the first ``limit`` of them."""
    images = coco_images(dataset_location, topology="fastestdet", limit=limit)
    categories = sorted(row["id"] for row in images.ground_truth["categories"])
    if len(categories) != CLASSES:
        raise DataError(
            f"FastestDet knows the {CLASSES} categories of COCO; the annotations list "
            f"{len(categories)}. Use instances_val2017.json with all of COCO's categories."
        )
    return DetectionEvaluation(
        BatchLoader(images.samples, TRANSFORM, batch_size),
        ground_truth=images.ground_truth,
        decode=partial(decode, category_ids=np.asarray(categories)),
    )
