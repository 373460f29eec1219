"""Batches of preprocessed images, in order, restartable, decoded once where memory allows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.prefetch import CACHE_BYTES, Prefetcher, chunks
from lpot_examples.data.transforms import ImageTransform
from lpot_examples.errors import DataError

Batch = tuple[NDArray[Any], NDArray[np.int64]]
_AHEAD = 2  # batches being decoded while the consumer works


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image of a dataset.

    Attributes:
        path: The image file.
        label: What identifies the sample to its consumer: a class index or a COCO image id;
            -1 when there is none.
        size: The (width, height) in pixels that the annotations give; None when unknown.
    """

    path: Path
    label: int = -1
    size: tuple[int, int] | None = None


class SampleLoader(ABC):
    """What loaders of images share: the images in memory or read ahead, and passes over them.

    Args:
        samples: The images, in the order they are to be given.
        batch_size: Images per batch, at least 1.
        cache_bytes: Memory for decoded images, bytes; 0 for none.
        ahead: How many images are decoded while the consumer works.

    Attributes:
        samples: As given.
        batch_size: As given.

    Raises:
        DataError: If there is no image, or the batch size is below 1.
    """

    def __init__(
        self, samples: Sequence[Sample], batch_size: int, *, cache_bytes: int, ahead: int
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size must be at least 1; it is {batch_size}.")
        if not samples:
            raise DataError("The dataset must hold at least one image; it holds none.")
        self.samples = tuple(samples)
        self.batch_size = batch_size
        self._images = Prefetcher(
            self._load, weigh=attrgetter("nbytes"), cache_bytes=cache_bytes, ahead=ahead
        )

    def begin(self) -> None:
        """Start decoding the first images now, a few hundred at most."""
        self._images.begin(range(len(self.samples)))

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches from the first."""
        return self.ordered(range(len(self.samples)))

    @abstractmethod
    def ordered(self, order: Sequence[int] | NDArray[np.int64]) -> Iterator[Batch]:
        """Yield batches of the samples with these indices, in this order."""

    @abstractmethod
    def _load(self, row: int) -> NDArray[np.uint8]:
        """Return the image of a sample; called in threads."""


class BatchLoader(SampleLoader):
    """Yields ``(inputs, labels)``: images [n, height, width, channels] and int64 [n].

    Each ``iter()`` starts again and gives the same batches in the same order; the last batch may
    be smaller. The resized images stay in memory as bytes up to ``cache_bytes``, so that a second
    pass decodes nothing; what does not fit is decoded again, a few batches ahead of its use.

    Args:
        samples: The images, in the order they are to be given.
        transform: The network's preprocessing.
        batch_size: Images per batch, at least 1.
        cache_bytes: Memory for decoded images, bytes; 0 for none.

    Raises:
        DataError: While iterating, if an image is missing, cannot be decoded or does not have the
            size its sample gives.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        transform: ImageTransform,
        batch_size: int = 1,
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        super().__init__(samples, batch_size, cache_bytes=cache_bytes, ahead=_AHEAD * batch_size)
        self.transform = transform

    def __len__(self) -> int:
        """The number of batches."""
        return -(-len(self.samples) // self.batch_size)

    def ordered(self, order: Sequence[int] | NDArray[np.int64]) -> Iterator[Batch]:
        """Yield batches of the samples with these indices, in this order."""
        rows = [int(row) for row in order]
        numbers = chunks(rows, self.batch_size)
        with closing(self._images.items(rows)) as images:
            for batch in chunks(images, self.batch_size):
                values = self.transform.normalize(np.stack(batch))
                labels = [self._label(row) for row in next(numbers)]
                yield values, np.asarray(labels, dtype=np.int64)

    def _load(self, row: int) -> NDArray[np.uint8]:
        sample = self.samples[row]
        return self.transform.load(sample.path, sample.size)

    def _label(self, row: int) -> int:
        """Return the label of a row that was loaded."""
        return self.samples[row].label
