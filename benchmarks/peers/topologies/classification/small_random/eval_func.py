"""small_random scored by top-1 accuracy on the images behind those for calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lpot_examples.data.arrays import ArrayBatches
from lpot_examples.evaluation.classification import TopKEvaluation

CALIBRATION = 96


def build(
    *, dataset_location: Path | None = None, batch_size: int = 50, limit: int | None = None
) -> TopKEvaluation:
    """Return the evaluation of all images behind those for calibration."""
    del dataset_location
    with np.load(Path(__file__).with_name("small_random.npz")) as file:
        images, labels = file["images"][CALIBRATION:][:limit], file["labels"][CALIBRATION:][:limit]
    loader = ArrayBatches(images, labels, batch_size=batch_size)
    return TopKEvaluation(loader, samples=len(images), classes=10, ks=(1,))
