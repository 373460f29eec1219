"""Batches of samples that are already in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import DataError


class ArrayBatches:
    """Yields ``(inputs, labels)`` from arrays; each ``iter()`` starts again, in the same order.

    Args:
        inputs: float32 [samples, ...], as the network takes them.
        labels: int64 [samples].
        batch_size: Samples per batch, at least 1; the last batch may be smaller.

    Raises:
        DataError: If the batch size is below 1, or inputs and labels do not fit together.
    """

    def __init__(
        self, inputs: NDArray[np.float32], labels: NDArray[np.int64], *, batch_size: int
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size must be at least 1; it is {batch_size}.")
        if len(inputs) != len(labels) or not len(inputs):
            raise DataError(
                "There must be as many labels as inputs, at least one; "
                f"there are {len(inputs)} inputs and {len(labels)} labels."
            )
        self.inputs = inputs
        self.labels = labels
        self.batch_size = batch_size

    def __len__(self) -> int:
        """The number of batches."""
        return -(-len(self.inputs) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Yield the batches from the first."""
        for start in range(0, len(self.inputs), self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self.inputs[rows], self.labels[rows]

    def ordered(
        self, order: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Yield batches of the samples with these indices, in this order."""
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield self.inputs[rows], self.labels[rows]
