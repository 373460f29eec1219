"""From samples to a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lpot_examples.data.pipeline.labels import DetectionBatch, DetectionLabel
from lpot_examples.errors import DataError


def collate(values: Sequence[Any]) -> Any:
    """Put one part of several samples together.

    Args:
        values: One value for each sample, at least one.

    Returns:
        Arrays of one shape and numbers as one array, the samples first (whole numbers as int64);
        arrays of different shapes as a list; mappings, lists and tuples part by part;
        `DetectionLabel` as `DetectionBatch`; None for None; anything else as a list.
    """
    first = values[0]
    if first is None:
        return None
    if isinstance(first, DetectionLabel):
        return DetectionBatch(values)
    if isinstance(first, Mapping):
        return {key: collate([value[key] for value in values]) for key in first}
    if isinstance(first, list | tuple):
        return [collate(column) for column in zip(*values, strict=True)]
    if isinstance(first, str | bytes):
        return list(values)
    if hasattr(first, "__array__") or isinstance(first, int | float | complex):
        arrays = [np.asarray(value) for value in values]
        if len({array.shape for array in arrays}) > 1:
            return arrays
        stacked = np.stack(arrays)
        whole = stacked.ndim == 1 and stacked.dtype.kind in "iu"
        return stacked.astype(np.int64) if whole else stacked
    return list(values)


def batch_of(images: Sequence[Any], *, number: int, where: str) -> Any:
    """Put the inputs of a batch together.

    Args:
        images: One input for each sample.
        number: The batch's, from 0.
        where: The dataloader's key.

    Raises:
        DataError: If images have different shapes.
    """
    batch = collate(images)
    if isinstance(batch, list) and isinstance(images[0], np.ndarray):
        shapes = list(dict.fromkeys("x".join(map(str, image.shape)) for image in images))
        raise DataError(
            f"The images of a batch must have one shape; batch {number} of {where} has "
            f"{', '.join(shapes[:3])}. Add Resize to {where}.transform, or set batch_size to 1."
        )
    return batch
