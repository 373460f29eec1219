"""Batches of whatever a user has: LPOT's ``DataLoader``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from lpot_examples.data.pipeline.collate import collate
from lpot_examples.data.pipeline.dataset import Samples
from lpot_examples.data.pipeline.loader import PipelineLoader
from lpot_examples.data.prefetch import Prefetcher, chunks
from lpot_examples.errors import DataError

_LAST = ("rollover", "discard")


class DataLoader:
    """Yields batches; each ``iter()`` starts again.

    A sample ``(input, label)`` gives batches ``(inputs, labels)``, another one gives batches of
    inputs; arrays and numbers are stacked, see `collate`. Data sets of this package are read ahead
    in threads; the calls of others are made one by one, unless ``num_workers`` allows threads.

    Args:
        dataset: Has ``__getitem__`` (and ``__len__``) or ``__iter__``; a ``tf.data.Dataset`` that
            is not batched does.
        batch_size: Samples per batch, at least 1.
        collate_fn: Makes a batch of a list of samples.
        last_batch: ``rollover`` keeps a short last batch, ``discard`` drops it.
        sampler: The indices of the samples, in order; for data sets with ``__getitem__``.
        batch_sampler: Lists of indices, one for each batch, in place of ``batch_size``,
            ``last_batch`` and ``sampler``.
        num_workers: How many calls of ``__getitem__`` are made ahead, in threads.
        pin_memory: Without effect.
        shuffle: A random order, the same at every pass; for data sets with a length.
        distributed: Without effect.

    Raises:
        DataError: If the data set can be read in neither way, or only once.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        last_batch: str = "rollover",
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
        shuffle: bool = False,
        distributed: bool = False,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise DataError(f"batch_size must be a whole number of at least 1; it is {batch_size}.")
        if last_batch not in _LAST:
            raise DataError(f"last_batch must be one of {', '.join(_LAST)}; it is {last_batch!r}.")
        _check_readable(dataset)
        indexed = hasattr(dataset, "__getitem__")
        for name, value in (("sampler", sampler), ("batch_sampler", batch_sampler)):
            if value is not None and not indexed:
                raise DataError(f"A {name} needs a data set with __getitem__; leave it out.")
        self.dataset = dataset
        self.batch_size = batch_size
        self.last_batch = last_batch
        self._collate = collate_fn
        self._sampler = sampler
        self._batches = batch_sampler
        self._workers = num_workers
        self._shuffle = shuffle
        self._own = self._loader() if isinstance(dataset, Samples) else None

    def __len__(self) -> int:
        """The number of batches.

        Raises:
            TypeError: If the data set does not tell its length.
        """
        if self._own is not None:
            return len(self._own)
        if self._batches is not None:
            return len(self._batches)  # type: ignore[arg-type]
        count = len(self.dataset if self._sampler is None else self._sampler)  # type: ignore[arg-type]
        whole, rest = divmod(count, self.batch_size)
        return whole + (1 if rest and self.last_batch == "rollover" else 0)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches from the first."""
        if self._own is not None:
            yield from self._own
            return
        for samples in self._chunks():
            if self.last_batch == "rollover" or len(samples) == self.batch_size or self._batches:
                yield self._batch(samples)

    def _loader(self) -> PipelineLoader | None:
        """Return the loader of a data set of this package, if nothing of the user's is needed."""
        if self._collate or self._sampler is not None or self._batches is not None:
            return None
        return PipelineLoader(
            self.dataset,
            batch_size=self.batch_size,
            drop_last=self.last_batch == "discard",
            shuffle=self._shuffle,
            where="DataLoader",
        )

    def _chunks(self) -> Iterator[list[Any]]:
        if self._batches is not None:
            for indices in self._batches:
                yield [self.dataset[index] for index in indices]
            return
        yield from chunks(self._samples(), self.batch_size)

    def _samples(self) -> Iterator[Any]:
        if not hasattr(self.dataset, "__getitem__"):
            yield from self.dataset
        elif self._sampler is None and not hasattr(self.dataset, "__len__"):
            yield from _counted(self.dataset)
        elif self._workers > 0:
            ahead = Prefetcher(self.dataset.__getitem__, weigh=_nothing, cache_bytes=0)
            with closing(ahead.items(self._order())) as samples:
                yield from samples
        else:
            for index in self._order():
                yield self.dataset[index]

    def _order(self) -> Iterable[int]:
        if self._sampler is not None:
            return self._sampler
        if not self._shuffle:
            return range(len(self.dataset))
        import numpy as np

        from lpot_examples.data.pipeline.transform import DEFAULT_SEED

        return map(int, np.random.default_rng(DEFAULT_SEED).permutation(len(self.dataset)))

    def _batch(self, samples: list[Any]) -> Any:
        if self._collate is not None:
            return self._collate(samples)
        batch = collate(samples)
        return tuple(batch) if isinstance(samples[0], tuple | list) else batch


def _check_readable(dataset: Any) -> None:
    if not hasattr(dataset, "__getitem__") and not hasattr(dataset, "__iter__"):
        raise DataError(
            "A data set must have __getitem__ and __len__, or __iter__; "
            f"{type(dataset).__name__} has neither."
        )
    if hasattr(dataset, "__next__"):
        raise DataError(
            f"A data set must give its samples more than once; a {type(dataset).__name__} does so "
            "only once. Give an object whose __iter__ starts again."
        )


def _counted(dataset: Any) -> Iterator[Any]:
    """Yield the samples of a data set without a length, until one is missing."""
    index = 0
    while True:
        try:
            sample = dataset[index]
        except IndexError:
            return
        yield sample
        index += 1


def _nothing(_: Any) -> int:
    return 0
