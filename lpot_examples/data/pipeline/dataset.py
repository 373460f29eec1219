"""What a data set is: samples by number, their labels without decoding, and their names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.pipeline.arguments import Arguments
from lpot_examples.data.pipeline.places import Places


class Samples(ABC):
    """The samples of an opened data set, in a fixed order.

    Attributes:
        tensors: Whether LPOT gives TensorFlow's tensors here rather than arrays; see
            `transform.Context`.
    """

    tensors: ClassVar[bool] = False

    @abstractmethod
    def __len__(self) -> int:
        """The number of samples."""

    @abstractmethod
    def load(self, row: int) -> tuple[Any, Any]:
        """Return the input and label of a sample; called in several threads.

        An input is uint8 [height, width, channels] for images, or a list of arrays for networks
        with several inputs. A label is an int, an array, a `labels.DetectionLabel`, or None.

        Raises:
            DataError: If it cannot be read; the message names the file.
        """

    @abstractmethod
    def label(self, row: int) -> Any:
        """Return the label alone, without decoding the image.

        Raises:
            DataError: If it cannot be read.
        """

    def place(self, row: int) -> str:
        """Return what a sample is called in messages."""
        return f"sample {row}"

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        """Return a sample, as LPOT's data sets do."""
        rows = range(len(self))
        return self.load(rows[row])

    def collate(self, samples: list[tuple[Any, Any]]) -> tuple[Any, Any] | None:
        """Return the batch of some samples, or None for the usual way; see `collate`."""
        return None


class DatasetArguments(Arguments):
    """What stands below a data set's name; its fields are in the order of LPOT's signature."""

    @abstractmethod
    def open(self, places: Places) -> Samples:
        """Find the files.

        Raises:
            DataError: If something is missing or malformed.
        """


class ArraySamples(Samples):
    """Samples that are in memory.

    Args:
        inputs: [samples, ...].
        labels: [samples]; None for none.
    """

    def __init__(self, inputs: NDArray[Any], labels: NDArray[Any] | None) -> None:
        self._inputs = inputs
        self._labels = labels

    def __len__(self) -> int:
        """The number of samples."""
        return len(self._inputs)

    def load(self, row: int) -> tuple[Any, Any]:
        """Return an array and its label."""
        return self._inputs[row], self.label(row)

    def label(self, row: int) -> Any:
        """Return an int, an array, or None."""
        if self._labels is None:
            return None
        label = self._labels[row]
        return int(label) if np.ndim(label) == 0 and self._labels.dtype.kind in "iu" else label
