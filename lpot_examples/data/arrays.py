"""Batches of samples that are already in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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


class NamedBatches:
    """Yields ``(inputs, labels)`` of networks with several inputs, or inputs that are no images.

    Each ``iter()`` starts again, in the same order; the labels are -1.

    Args:
        arrays: [samples, ...] by input name, all of one length.
        batch_size: Samples per batch, at least 1; the last batch may be smaller.

    Attributes:
        samples: How many there are.

    Raises:
        DataError: If the batch size is below 1, or the arrays are empty or of several lengths.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], *, batch_size: int) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size must be at least 1; it is {batch_size}.")
        lengths = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            listed = ", ".join(f"{length} of '{name}'" for name, length in lengths.items())
            raise DataError(
                f"Every input must have the same number of samples, at least one; there are "
                f"{listed or 'no inputs'}."
            )
        self.samples = next(iter(lengths.values()))
        self._arrays = dict(arrays)
        self._batch_size = batch_size

    def __len__(self) -> int:
        """The number of batches."""
        return -(-self.samples // self._batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, NDArray[Any]], NDArray[np.int64]]]:
        """Yield the batches from the first."""
        for start in range(0, self.samples, self._batch_size):
            rows = slice(start, start + self._batch_size)
            inputs = {name: array[rows] for name, array in self._arrays.items()}
            count = min(self._batch_size, self.samples - start)
            yield inputs, np.full(count, -1, dtype=np.int64)


def read_arrays(
    path: Path | None, names: Sequence[str], *, topology: str
) -> dict[str, NDArray[Any]]:
    """Read a network's inputs from a file.

    Args:
        path: A ``.npz`` with an array [samples, ...] for each input name, or, for one input, a
            ``.npy``.
        names: The inputs.
        topology: Who needs it, for the error message.

    Raises:
        DataError: If the file is missing, is not NumPy's or lacks an input.
    """
    purpose = (
        f"{topology} needs its inputs as a NumPy file: .npz with an array [samples, ...] for each "
        f"of {', '.join(names)}{', or .npy' if len(names) == 1 else ''}. Write it with "
        f"np.savez and give it: bash run_tuning.sh --topology={topology} "
        "--dataset_location=inputs.npz"
    )
    if path is None:
        raise DataError(f"--dataset_location was not given. {purpose}")
    try:
        content = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}. {purpose}") from None
    if isinstance(content, np.ndarray):
        arrays = {names[0]: content} if len(names) == 1 else {}
    else:
        arrays = {key.removesuffix(":0"): content[key] for key in content.files}
    missing = [name for name in names if name not in arrays]
    if missing:
        held = ", ".join(arrays) or "an array without a name"
        raise DataError(f"{path} holds {held} and lacks '{missing[0]}'. {purpose}")
    return {name: arrays[name] for name in names}
