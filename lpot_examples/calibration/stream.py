"""How batches reach the network: several to a run, and read while the one before runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from lpot_examples.calibration.feed import Array, samples

Batch = dict[str, Array]
Item = TypeVar("Item")

# Batches are put together up to this much. A run costs something for each op, so that single
# samples are dear; beyond a few, tensors no longer stay in the cache until they are observed.
# Five photographs of 224 × 224 go together, two of 352 × 352.
MOST_SAMPLES = 8
MOST_VALUES = 3 << 18

_END: Any = object()


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items; the next one is read in a thread while the consumer works on this one.

    What reading raises is raised here.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, iterator, _END)
        while (item := coming.result()) is not _END:
            coming = reader.submit(next, iterator, _END)
            yield item


def together(
    batches: Iterable[Batch],
    joinable: Callable[[Batch], bool],
    *,
    sizes: Sequence[int] = (),
    most_values: int = MOST_VALUES,
) -> Iterator[list[Batch]]:
    """Yield the batches in the groups that one run may take.

    Args:
        batches: Arrays by input name.
        joinable: Tells whether the network takes batches like the first one in any number.
        sizes: Numbers of samples at which a group must end, as soon as the batches reach them.
        most_values: Values that the arrays of a group may hold.
    """
    group: list[Batch] = []
    done = 0
    free: bool | None = None
    for batch in batches:
        free = joinable(batch) if free is None else free
        if group and not (free and _fits(group, batch, most_values)):
            yield group
            group = []
        group.append(batch)
        before, done = done, done + samples(batch)
        if any(before < size <= done for size in sizes):
            yield group
            group = []
    if group:
        yield group


def any_number(shapes: Iterable[Sequence[int | None] | None]) -> bool:
    """Tell whether the first dimension of every input is free; None is a shape of unknown rank."""
    return all(shape and shape[0] is None for shape in shapes)


def joined(group: Sequence[Batch]) -> Batch:
    """Return the batches of a group as one."""
    if len(group) == 1:
        return group[0]
    return {name: np.concatenate([batch[name] for batch in group]) for name in group[0]}


def _fits(group: list[Batch], batch: Batch, most_values: int) -> bool:
    together = [*group, batch]
    alike = all(
        array.shape[1:] == group[0][name].shape[1:] and array.dtype == group[0][name].dtype
        for name, array in batch.items()
    )
    values = sum(array.size for one in together for array in one.values())
    return alike and values <= most_values and sum(map(samples, together)) <= MOST_SAMPLES
