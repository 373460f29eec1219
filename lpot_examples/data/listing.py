"""What every dataset on disk needs: its folder, its images in order, and help when they lack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lpot_examples.data.loader import Sample
from lpot_examples.errors import DataError

CALIBRATION_STRIDE = 5
"""Where no samples are for calibration, every so many of the others serve."""

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


def required_folder(path: Path | None, *, purpose: str) -> Path:
    """Return the dataset folder a user gave.

    Args:
        path: ``--dataset_location``, or None when it was not given.
        purpose: What the folder must hold, how to get it and an example command.

    Raises:
        DataError: If it was not given or is not a folder; the message ends with ``purpose``.
    """
    if path is None:
        raise DataError(f"--dataset_location was not given. {purpose}")
    if not path.is_dir():
        raise DataError(f"The dataset folder {path} does not exist. {purpose}")
    return path


def image_samples(folder: Path) -> tuple[Sample, ...]:
    """List the images of one folder by name, without labels; the folder may be absent."""
    if not folder.is_dir():
        return ()
    files = (path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    return tuple(Sample(path=path) for path in sorted(files))


def first(samples: Sequence[Sample], limit: int | None) -> tuple[Sample, ...]:
    """Return the first ``limit`` samples, or all of them.

    Raises:
        DataError: If ``limit`` is not positive.
    """
    check_limit(limit)
    return tuple(samples[:limit])


def check_limit(limit: int | None) -> None:
    """Check how many samples are to be evaluated; None is for all.

    Raises:
        DataError: If that is not positive.
    """
    if limit is not None and limit < 1:
        raise DataError(f"The number of samples to evaluate must be at least 1; it is {limit}.")
