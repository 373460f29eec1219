"""The calibration pass: one instrumented run of the fp32 graph over the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from lpot_examples.backends.tensorflow.observe import Observation, Observer
from lpot_examples.backends.tensorflow.runtime import import_tensorflow, session_config
from lpot_examples.calibration.channels import ChannelStatistics
from lpot_examples.calibration.feed import samples
from lpot_examples.calibration.histogram import Histogram
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.calibration.stream import Batch, ahead, joined, together
from lpot_examples.errors import ModelError

# Values of each tensor that enter its histogram: so many in all, shared by the samples, but no
# fewer or more than this of each sample. Extremes are exact over all values.
SAMPLE = 1 << 18
FEWEST, MOST = 1 << 12, 1 << 14


def collect(
    graph_def: Any,
    tensors: Sequence[str],
    batches: Iterable[Batch],
    *,
    sizes: Sequence[int],
    progress: Callable[[int], None] | None = None,
    channel_tensors: Sequence[str] = (),
) -> dict[int, Statistics]:
    """Collect the statistics of tensors in one pass.

    Minima and maxima are exact. Histograms take the same pseudo-random positions of each tensor
    in every run, which keeps the pass close to plain inference in time and flat in memory. Where
    the network takes batches of any size, several small ones are run as one; the next ones are
    read meanwhile.

    Args:
        graph_def: The cleaned fp32 graph.
        tensors: Names of the tensors to observe.
        batches: Arrays by input name.
        sizes: Numbers of samples after which a snapshot is taken, ascending; the end of the data
            stands for any size it does not reach.
        progress: Called with the number of samples done, after each run.
        channel_tensors: Names of the tensors whose channels to observe as well; those of unknown
            rank are passed over.

    Returns:
        Statistics by size.

    Raises:
        ModelError: If a tensor is not finite on the calibration data.
    """
    tf = import_tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    each = min(max(SAMPLE // max(sizes), FEWEST), MOST)
    observer = Observer(graph, tensors, channel_tensors, sample=each)
    collected = _Collected(tensors, [n for n in channel_tensors if observer.has_channels[n]])
    snapshots: dict[int, Statistics] = {}
    with tf.compat.v1.Session(graph=graph, config=session_config(fast_start=True)) as session:

        def run(batch: Batch) -> tuple[dict[str, Observation], int]:
            count = samples(batch)
            return observer.run(session, batch, count), count

        groups = ahead(together(batches, partial(_free, graph), sizes=sizes))
        for found, count in _runs(groups, run, refusal=tf.errors.OpError):
            collected.add(found, count)
            for size in sizes:
                if size <= collected.samples and size not in snapshots:
                    snapshots[size] = collected.snapshot()
            if progress is not None:
                progress(collected.samples)
    for size in sizes:
        snapshots.setdefault(size, collected.snapshot())
    return snapshots


class _Collected:
    """The statistics of the runs so far."""

    def __init__(self, tensors: Sequence[str], by_channel: Sequence[str]) -> None:
        self.samples = 0
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

    def snapshot(self) -> Statistics:
        """Return a copy that later runs do not change."""
        histograms = {name: histogram.copy() for name, histogram in self._histograms.items()}
        return Statistics(histograms, self.samples, dict(self._channels))


def _runs(
    groups: Iterable[list[Batch]],
    run: Callable[[Batch], tuple[dict[str, Observation], int]],
    *,
    refusal: type[Exception],
) -> Iterator[tuple[dict[str, Observation], int]]:
    """Run each group as one batch; as it came, once the network has refused one."""
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


def _free(graph: Any, batch: Batch) -> bool:
    """Tell whether the first dimension of every input is free."""
    shapes = [graph.get_tensor_by_name(f"{name}:0").shape for name in batch]
    return all(shape.rank and shape[0] is None for shape in shapes)
