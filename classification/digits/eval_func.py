"""digits scored by top-1 accuracy on held-out digits."""

from __future__ import annotations

from pathlib import Path

from lpot_examples.data.arrays import ArrayBatches
from lpot_examples.data.digits import load_digits
from lpot_examples.errors import DataError
from lpot_examples.evaluation.classification import TopKEvaluation


def build(
    *, dataset_location: Path | None = None, batch_size: int = 64, limit: int | None = None
) -> TopKEvaluation:
    """Return the evaluation of the 450 held-out digits, or of the first ``limit`` of them.

    The digits come with scikit-learn, so ``dataset_location`` is not needed.
    """
    del dataset_location
    if limit is not None and limit < 1:
        raise DataError(f"The limit must be at least 1 digit; it is {limit}.")
    digits = load_digits("validation")
    images, labels = digits.images[:limit], digits.labels[:limit]
    loader = ArrayBatches(images, labels, batch_size=batch_size)
    return TopKEvaluation(loader, samples=len(images), classes=10, ks=(1,))
