"""Batches of any shape: how many samples they hold, and the first of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lpot_examples.errors import DataError


def pairs(loader: Any, *, batches: int | None, samples: int | None) -> Iterator[tuple[Any, Any]]:
    """Yield ``(inputs, labels)`` of a loader.

    Args:
        loader: Yields them.
        batches: The most batches; all when None.
        samples: The most samples; the last batch is cut to fit. All when None.

    Raises:
        DataError: If a batch is no pair.
    """
    left = samples
    for number, item in enumerate(loader):
        if batches is not None and number >= batches:
            return
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise DataError(
                f"batch {number} of the evaluation must be (inputs, labels); it is "
                f"{type(item).__name__}. Use a dataset with labels."
            )
        inputs, labels = item
        if left is not None:
            size = count(inputs)
            if size > left:
                inputs, labels = first(inputs, left, size), first(labels, left, size)
            left -= min(size, left)
        yield inputs, labels
        if left == 0:
            return


def begin_reading(loader: Any) -> None:
    """Let a loader read ahead from now on, if it has a method ``begin`` for that."""
    if hasattr(loader, "begin"):
        loader.begin()


def count(inputs: Any) -> int:
    """Return how many samples inputs hold: the length of the first part that is no scalar."""
    if isinstance(inputs, Mapping):
        return next((count(part) for part in inputs.values() if _has_rows(part)), 1)
    if isinstance(inputs, (tuple, list)):
        return next((count(part) for part in inputs if _has_rows(part)), len(inputs))
    return len(inputs) if _has_rows(inputs) else 1


def _has_rows(part: Any) -> bool:
    return isinstance(part, (tuple, list, Mapping)) or getattr(part, "ndim", 0) > 0


def first(part: Any, wanted: int, size: int) -> Any:
    """Return the first samples of inputs or labels.

    Args:
        part: An array or list with one entry for each sample, a mapping or tuple of such, or what
            can be made anew of its ``images``; what has another length stays whole.
        wanted: How many.
        size: How many there are.
    """
    if hasattr(part, "images"):
        return type(part)(part.images[:wanted])
    if isinstance(part, Mapping):
        return {key: first(value, wanted, size) for key, value in part.items()}
    if isinstance(part, np.ndarray):
        return part[:wanted] if part.ndim and len(part) == size else part
    if isinstance(part, tuple) or (isinstance(part, list) and len(part) != size):
        return type(part)(first(value, wanted, size) for value in part)
    return part[:wanted] if isinstance(part, list) else part
