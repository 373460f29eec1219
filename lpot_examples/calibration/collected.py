"""What the runs of a calibration pass say of tensors, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lpot_examples.calibration.channels import ChannelStatistics
from lpot_examples.calibration.histogram import Histogram
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.calibration.stream import Batch, joined
from lpot_examples.errors import ModelError

Array = NDArray[Any]
Result = TypeVar("Result")

# Values of each tensor that enter its histogram: so many in all, shared by the samples, but no
# fewer or more than this of each sample. Extremes are exact over all values.
SAMPLE = 1 << 18
FEWEST, MOST = 1 << 12, 1 << 14


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What one run says of one tensor.

    Attributes:
        minimum: Exact, float32 [channels]; of a tensor without channels, [1] for all of it.
        maximum: Likewise.
        mean: Likewise, but for rounding; of large images, the mean of every fourth row.
        size: How many values the tensor has.
        sample: Some of them, float32 [n], or all if they are fewer; None where no sample was
            asked for.
    """

    minimum: Array
    maximum: Array
    mean: Array
    size: int
    sample: Array | None

    @property
    def finite(self) -> bool:
        """Whether no value is infinite or not a number."""
        ends = np.isfinite(self.minimum).all() and np.isfinite(self.maximum).all()
        # An extreme may pass over what is not a number; a mean does not, of what it reads.
        return bool(ends and not np.isnan(self.mean).any())


class Collected:
    """The statistics of the runs so far, and what they were at wanted numbers of samples.

    Args:
        tensors: Names of the tensors whose histograms to keep.
        by_channel: Names of those whose channels to keep.
        sizes: Numbers of samples after which a snapshot is taken, ascending.

    Attributes:
        samples: How many samples the runs had.

    Raises:
        ModelError: By `add`, if a tensor is not finite on the calibration data.
    """

    def __init__(
        self, tensors: Sequence[str], by_channel: Sequence[str], *, sizes: Sequence[int]
    ) -> None:
        self.samples = 0
        self._sizes = sizes
        self._snapshots: dict[int, Statistics] = {}
        self._histograms = {name: Histogram() for name in tensors}
        self._by_channel = by_channel
        self._channels: dict[str, ChannelStatistics] = {}

    def add(self, found: Mapping[str, Observation], samples: int) -> None:
        """Add a run of so many samples."""
        for name, histogram in self._histograms.items():
            one = found[name]
            if one.size and not one.finite:
                raise ModelError(
                    f"the fp32 network gives a value that is not finite at '{name}' on the "
                    "calibration data; check the preprocessing or the model."
                )
            if one.size and one.sample is not None:
                low, high = float(one.minimum.min()), float(one.maximum.max())
                histogram.add(one.sample, minimum=low, maximum=high, size=one.size)
        for name in self._by_channel:
            one = found[name]
            if not one.size:
                continue
            batch = ChannelStatistics.of_batch(one.minimum, one.maximum, one.mean, samples)
            known = self._channels.get(name)
            self._channels[name] = batch if known is None else known.with_batch(batch)
        self.samples += samples
        for size in self._sizes:
            if size <= self.samples and size not in self._snapshots:
                self._snapshots[size] = self._snapshot()

    def by_size(self) -> dict[int, Statistics]:
        """Return the snapshots; the end of the data stands for any size it does not reach."""
        return {
            size: self._snapshots[size] if size in self._snapshots else self._snapshot()
            for size in self._sizes
        }

    def _snapshot(self) -> Statistics:
        """Return a copy that later runs do not change."""
        histograms = {name: histogram.copy() for name, histogram in self._histograms.items()}
        return Statistics(histograms, self.samples, dict(self._channels))


def positions(count: int) -> Array:
    """Return a pseudo-random place in each of ``count`` equal stretches of [0, 1), ascending."""
    return (np.arange(count) + np.random.default_rng(0).random(count) * 0.999) / count


def runs(
    groups: Iterable[list[Batch]],
    run: Callable[[Batch], Result],
    *,
    refusal: type[Exception],
) -> Iterator[Result]:
    """Run each group as one batch; as it came, once the network has refused one.

    Args:
        groups: Batches that may be run together.
        run: Runs a batch.
        refusal: What it raises where the network does not take so many samples.

    Yields:
        What ``run`` returns.
    """
    joining = True
    for group in groups:
        if joining and len(group) > 1:
            try:
                found = run(joined(group))
            except refusal:  # a batch of one is built into it, or memory does not suffice
                joining = False
            else:
                yield found
                continue
        yield from map(run, group)
