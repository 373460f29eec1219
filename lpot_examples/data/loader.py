"""Batches of preprocessed images, in order, restartable, decoded once where memory allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.transforms import ImageTransform
from lpot_examples.errors import DataError

Batch = tuple[NDArray[np.float32], NDArray[np.int64]]
CACHE_BYTES = 1 << 30
_THREADS = 2
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


class BatchLoader:
    """Yields ``(inputs, labels)``: float32 [n, height, width, 3] and int64 [n].

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
        if batch_size < 1:
            raise DataError(f"batch_size must be at least 1; it is {batch_size}.")
        if not samples:
            raise DataError("The dataset must hold at least one image; it holds none.")
        self.samples = tuple(samples)
        self.transform = transform
        self.batch_size = batch_size
        self._cacheable = cache_bytes // (transform.height * transform.width * 3)
        self._cache: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        """The number of batches."""
        return -(-len(self.samples) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches from the first."""
        return self.ordered(range(len(self.samples)))

    def ordered(self, order: Sequence[int] | NDArray[np.int64]) -> Iterator[Batch]:
        """Yield batches of the samples with these indices, in this order."""
        starts = deque(range(0, len(order), self.batch_size))
        pending: deque[tuple[list[int], list[Callable[[], NDArray[np.uint8]]]]] = deque()
        with ThreadPoolExecutor(_THREADS) as pool:
            try:
                while starts or pending:
                    while starts and len(pending) < _AHEAD:
                        start = starts.popleft()
                        rows = [int(row) for row in order[start : start + self.batch_size]]
                        pending.append((rows, [self._begin(pool, row) for row in rows]))
                    rows, images = pending.popleft()
                    yield self._batch(rows, [image() for image in images])
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor, row: int) -> Callable[[], NDArray[np.uint8]]:
        """Start decoding a row unless it is in memory; the result gives it when ready."""
        if row in self._cache:
            return lambda: self._cache[row]
        sample = self.samples[row]
        decoding: Future[NDArray[np.uint8]] = pool.submit(
            self.transform.load, sample.path, sample.size
        )
        return decoding.result

    def _batch(self, rows: Sequence[int], images: list[NDArray[np.uint8]]) -> Batch:
        for row, image in zip(rows, images, strict=True):
            if row < self._cacheable:
                self._cache.setdefault(row, image)
        labels = np.asarray([self.samples[row].label for row in rows], dtype=np.int64)
        return self.transform.normalize(np.stack(images)), labels
