"""The calibration pass: one run of the fp32 network over the batches, inner tensors fetched.

What a run gives is reduced at once to extremes, means and a sample, so that memory holds the
tensors of two runs at most, however many samples there are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lpot_examples.backends.onnx.model import OnnxModel
from lpot_examples.backends.onnx.proto import Array
from lpot_examples.calibration.collected import (
    FEWEST,
    MOST,
    SAMPLE,
    Collected,
    Observation,
    positions,
    runs,
)
from lpot_examples.calibration.feed import samples
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.calibration.stream import Batch, ahead, any_number, together
from lpot_examples.errors import DataError


def collect(
    proto: Any,
    tensors: Sequence[str],
    batches: Iterable[Batch],
    *,
    sizes: Sequence[int],
    axes: Mapping[str, int],
    progress: Callable[[int], None] | None = None,
) -> dict[int, Statistics]:
    """Collect the statistics of tensors in one pass.

    Minima, maxima and means are of all values. Histograms take the same pseudo-random positions of
    each tensor in every run. Where the network takes batches of any size, several small ones are
    run as one; the next ones are read meanwhile.

    Args:
        proto: The cleaned fp32 network.
        tensors: Names of the tensors to observe.
        batches: Arrays by input name.
        sizes: Numbers of samples after which a snapshot is taken, ascending; the end of the data
            stands for any size it does not reach.
        axes: Tensor name to the axis of its channels, where these are observed as well.
        progress: Called with the number of samples done, after each run.

    Returns:
        Statistics by size.

    Raises:
        ModelError: If a tensor is not finite on the calibration data.
    """
    model = OnnxModel(proto)
    each = min(max(SAMPLE // max(sizes), FEWEST), MOST)
    collected = Collected(tensors, sorted(axes), sizes=sizes)

    def run(batch: Batch) -> tuple[dict[str, Array], int]:
        fetched = [name for name in tensors if name not in batch]
        found = dict(zip(fetched, model.run(fetched, batch), strict=True))
        return {**batch, **found}, samples(batch)

    def free(batch: Batch) -> bool:
        return any_number(model.input_spec(name)[0] for name in batch)

    try:
        groups = ahead(together(batches, free, sizes=sizes))
        # The network runs the next batch while this one's tensors are looked at.
        for found, count in ahead(runs(groups, run, refusal=DataError)):
            seen = {
                name: observe(found[name], axis=axes.get(name), most=each * count)
                for name in tensors
            }
            collected.add(seen, count)
            if progress is not None:
                progress(collected.samples)
    finally:
        model.close()
    return collected.by_size()


def observe(array: Array, *, axis: int | None, most: int) -> Observation:
    """Return what a tensor holds.

    Args:
        array: float32, any shape.
        axis: That of its channels; None to take all of it together.
        most: Values to take a sample of; all if there are fewer.
    """
    values = array.reshape(1, 1, -1) if axis is None else _by_channel(array, axis)
    sample = array.reshape(-1)
    if array.size > most:
        sample = sample[_places(array.size, most)]
    if not array.size:
        empty = np.zeros(0, np.float32)
        return Observation(minimum=empty, maximum=empty, mean=empty, size=0, sample=sample)
    mean = values.mean(axis=2, dtype=np.float32).mean(axis=0, dtype=np.float64)
    return Observation(
        minimum=values.min(axis=2).min(axis=0),
        maximum=values.max(axis=2).max(axis=0),
        mean=mean,
        size=array.size,
        sample=sample,
    )


def _by_channel(array: Array, axis: int) -> Array:
    """Return [before the channels, channels, behind them]; a view."""
    axis %= array.ndim
    shape = array.shape
    before = int(np.prod(shape[:axis]))
    return array.reshape(before, shape[axis], -1)


@functools.lru_cache(maxsize=512)
def _places(size: int, count: int) -> Array:
    return (positions(count) * size).astype(np.intp)
