"""Calibration batches of digits: the first training digits."""

from __future__ import annotations

from pathlib import Path

from lpot_examples.data.arrays import ArrayBatches
from lpot_examples.data.digits import load_digits

CALIBRATION_DIGITS = 200


def build(*, dataset_location: Path | None = None, batch_size: int = 1) -> ArrayBatches:
    """Return the loader; the digits come with scikit-learn, ``dataset_location`` is not needed."""
    del dataset_location
    digits = load_digits("train")
    chosen = slice(CALIBRATION_DIGITS)
    return ArrayBatches(digits.images[chosen], digits.labels[chosen], batch_size=batch_size)
