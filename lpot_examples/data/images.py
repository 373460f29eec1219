"""Images as a network that resizes them itself takes them: bytes, each at its own size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.loader import Batch, Sample, SampleLoader
from lpot_examples.data.prefetch import CACHE_BYTES
from lpot_examples.data.transforms import decode

Image = NDArray[np.uint8]


class ImageLoader(SampleLoader):
    """Yields ``(images, labels)``: uint8 RGB [n, height, width, 3] and int64 [n].

    Each ``iter()`` starts again and gives the same batches in the same order. Images keep their
    size, so only neighbours of equal size share a batch: with a batch size of 1 every image is
    alone, and with a greater one batches may be smaller (see `by_size`). Decoded images stay in
    memory up to ``cache_bytes``; the others are decoded again, a few ahead of their use.

    Args:
        samples: The images, in the order they are to be given.
        batch_size: Images per batch at most, at least 1.
        cache_bytes: Memory for decoded images, bytes; 0 for none.

    Raises:
        DataError: While iterating, if an image is missing, cannot be decoded or does not have the
            size its sample gives.
    """

    def __init__(
        self, samples: Sequence[Sample], batch_size: int = 1, *, cache_bytes: int = CACHE_BYTES
    ) -> None:
        super().__init__(samples, batch_size, cache_bytes=cache_bytes, ahead=batch_size)

    def __len__(self) -> int:
        """The number of batches; where sizes are unknown, images are opened to learn them."""
        if self.batch_size == 1:
            return len(self.samples)
        batches = count = 0
        before: tuple[int, ...] | None = None
        for row, sample in enumerate(self.samples):
            size = sample.size or self._load(row).shape[1::-1]
            full = size != before or count == self.batch_size
            batches, count = (batches + 1, 1) if full else (batches, count + 1)
            before = size
        return batches

    def ordered(self, order: Sequence[int] | NDArray[np.int64]) -> Iterator[Batch]:
        """Yield batches of the samples with these indices, in this order."""
        rows = [int(row) for row in order]
        images: list[Image] = []
        labels: list[int] = []
        with closing(self._images.items(rows)) as decoded:
            for row, image in zip(rows, decoded, strict=True):
                if images and (len(images) == self.batch_size or image.shape != images[0].shape):
                    yield np.stack(images), np.asarray(labels, dtype=np.int64)
                    images, labels = [], []
                images.append(image)
                labels.append(self.samples[row].label)
        if images:
            yield np.stack(images), np.asarray(labels, dtype=np.int64)

    def _load(self, row: int) -> Image:
        sample = self.samples[row]
        return np.asarray(decode(sample.path, sample.size), dtype=np.uint8)


def by_size(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Bring images of one size together, so that they can share batches; sizes must be known."""
    return tuple(sorted(samples, key=lambda sample: sample.size or (0, 0)))
