"""Batches of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.pipeline.collate import batch_of, collate
from lpot_examples.data.pipeline.dataset import Samples
from lpot_examples.data.pipeline.transform import DEFAULT_SEED
from lpot_examples.data.pipeline.transformed import Sample
from lpot_examples.data.prefetch import CACHE_BYTES, Prefetcher, chunks
from lpot_examples.errors import DataError

_AHEAD = 2  # batches being made while the consumer works


class PipelineLoader:
    """Yields ``(inputs, labels)``; each ``iter()`` starts again and gives the same batches.

    Inputs are one array [n, ...], or a list of arrays for networks with several inputs. Labels are
    int64 [n], one array, a list of arrays, a `labels.DetectionBatch`, or None; see
    `collate.collate`. Samples are made a few batches ahead, in threads; those that are ready stay
    in memory up to ``cache_bytes``.

    Args:
        dataset: The samples.
        batch_size: Samples per batch, at least 1.
        drop_last: Whether a short last batch is left out.
        shuffle: Whether samples come in a random order, the same at every pass.
        limit: Only the first samples, after shuffling; all when None.
        seed: What the order depends on.
        cache_bytes: Memory for samples, bytes; 0 for none.
        where: The dataloader's key, for messages.

    Attributes:
        dataset: As given.
        batch_size: As given.
    """

    def __init__(
        self,
        dataset: Samples,
        *,
        batch_size: int = 1,
        drop_last: bool = False,
        shuffle: bool = False,
        limit: int | None = None,
        seed: int = DEFAULT_SEED,
        cache_bytes: int = CACHE_BYTES,
        where: str = "dataloader",
    ) -> None:
        for name, value in (("batch_size", batch_size), ("the number of samples", limit)):
            if value is not None and value < 1:
                raise DataError(f"{where}: {name} must be at least 1; it is {value}.")
        self.dataset = dataset
        self.batch_size = batch_size
        self._drop_last = drop_last
        self._shuffle = shuffle
        self._limit = limit
        self._seed = seed
        self._where = where
        self._samples = Prefetcher(
            dataset.load, weigh=_weight, cache_bytes=cache_bytes, ahead=_AHEAD * batch_size
        )

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The numbers of the samples in the data set, in the order in which they come.

        Raises:
            DataError: If there is none.
        """
        rows = np.arange(len(self.dataset))
        if self._shuffle:
            rows = np.random.default_rng(self._seed).permutation(rows)
        rows = rows[: self._limit]
        if self._drop_last:
            whole = len(rows) // self.batch_size * self.batch_size
            if not whole:
                raise DataError(
                    f"{self._where}: last_batch discard leaves nothing of {len(rows)} samples in "
                    f"batches of {self.batch_size}. Use rollover or smaller batches."
                )
            rows = rows[:whole]
        return rows

    @property
    def sample_count(self) -> int:
        """How many samples one pass gives."""
        return len(self.rows)

    def __len__(self) -> int:
        """The number of batches."""
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Sample]:
        """Yield the batches from the first.

        Raises:
            DataError: If a sample cannot be made, or the images of a batch have different shapes.
        """
        return self.ordered(np.arange(len(self.rows)))

    def ordered(self, order: Sequence[int] | NDArray[np.int64]) -> Iterator[Sample]:
        """Yield batches of the samples with these positions in a pass, in this order."""
        numbers = (int(self.rows[place]) for place in order)
        with closing(self._samples.items(numbers)) as samples:
            for number, chunk in enumerate(chunks(samples, self.batch_size)):
                batch = self.dataset.collate(chunk)
                yield batch if batch is not None else self._batch(chunk, number)

    def _batch(self, chunk: list[Sample], number: int) -> Sample:
        images, labels = zip(*chunk, strict=True)
        return batch_of(images, number=number, where=self._where), collate(labels)


def _weight(sample: Sample) -> int:
    image, label = sample
    parts = image if isinstance(image, list) else [image]
    own = label.nbytes if isinstance(label, np.ndarray) else 0
    return own + sum(getattr(part, "nbytes", 0) for part in parts)
