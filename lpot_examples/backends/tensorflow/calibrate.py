"""The calibration pass: one instrumented run of the fp32 graph over the batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.runtime import import_tensorflow, session_config
from lpot_examples.calibration.channels import ChannelStatistics
from lpot_examples.calibration.feed import samples
from lpot_examples.calibration.histogram import Histogram
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import ModelError

# Values of each tensor that enter its histogram per batch. Extremes are exact over all values.
SAMPLE = 16384


def collect(
    graph_def: Any,
    tensors: Sequence[str],
    batches: Iterable[dict[str, Any]],
    *,
    sizes: Sequence[int],
    progress: Callable[[int], None] | None = None,
    channel_tensors: Sequence[str] = (),
) -> dict[int, Statistics]:
    """Collect the statistics of tensors in one pass.

    Minima and maxima are exact. Histograms take the same `SAMPLE` pseudo-random positions of each
    tensor in every batch, which keeps the pass close to plain inference in time and flat in
    memory.

    Args:
        graph_def: The cleaned fp32 graph.
        tensors: Names of the tensors to observe.
        batches: Arrays by input name.
        sizes: Numbers of samples after which a snapshot is taken, ascending; the end of the data
            stands for any size it does not reach.
        progress: Called with the number of samples done, after each batch.
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
        fetches = _instrument(tf, graph, tensors)
        channel_fetches = _instrument_channels(tf, graph, channel_tensors)
    histograms = {name: Histogram() for name in tensors}
    channels: dict[str, ChannelStatistics] = {}
    snapshots: dict[int, Statistics] = {}
    done = 0
    with tf.compat.v1.Session(graph=graph, config=session_config(fast_start=True)) as session:
        for arrays in batches:
            feed = {f"{name}:0": array for name, array in arrays.items()}
            observed, by_channel = session.run((fetches, channel_fetches), feed)
            _add(histograms, tensors, *observed)
            for name, values in by_channel.items():
                low, high, mean = values
                batch = ChannelStatistics.of_batch(low, high, mean, samples(arrays))
                channels[name] = channels[name].with_batch(batch) if name in channels else batch
            done += samples(arrays)
            for size in sizes:
                if size <= done and size not in snapshots:
                    snapshots[size] = _snapshot(histograms, channels, done)
            if progress is not None:
                progress(done)
    for size in sizes:
        snapshots.setdefault(size, _snapshot(histograms, channels, done))
    return snapshots


def _snapshot(
    histograms: dict[str, Histogram], channels: dict[str, ChannelStatistics], samples: int
) -> Statistics:
    return Statistics({name: h.copy() for name, h in histograms.items()}, samples, dict(channels))


def _instrument_channels(tf: Any, graph: Any, tensors: Sequence[str]) -> dict[str, Any]:
    """Add the fetches (minimum, maximum, mean), each [channels], by tensor name."""
    fetches = {}
    for name in tensors:
        tensor = graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
        rank = tensor.shape.rank
        if rank is None or rank < 2:
            continue
        axes = list(range(rank - 1))
        reductions = (tf.reduce_min, tf.reduce_max, tf.reduce_mean)
        fetches[name] = tuple(reduction(tensor, axes) for reduction in reductions)
    return fetches


def _instrument(tf: Any, graph: Any, tensors: Sequence[str]) -> tuple[Any, Any, Any, Any]:
    """Add the fetches: minima, maxima, sizes [tensors] and samples [tensors, SAMPLE]."""
    positions = np.sort(np.random.default_rng(0).random(SAMPLE))
    fractions = tf.constant(positions, tf.float64)
    parts: list[tuple[Any, ...]] = []
    for name in tensors:
        tensor = graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
        flat = tf.reshape(tensor, [-1])
        size = tf.size(flat)
        index = tf.cast(fractions * tf.cast(size, tf.float64), tf.int32)
        parts.append((tf.reduce_min(flat), tf.reduce_max(flat), size, tf.gather(flat, index)))
    low, high, size, sample = zip(*parts, strict=True)
    return tf.stack(low), tf.stack(high), tf.stack(size), tf.stack(sample)


def _add(
    histograms: dict[str, Histogram],
    tensors: Sequence[str],
    low: Any,
    high: Any,
    size: Any,
    sample: Any,
) -> None:
    for index, name in enumerate(tensors):
        if not (math.isfinite(low[index]) and math.isfinite(high[index])):
            raise ModelError(
                f"the fp32 network gives a value that is not finite at '{name}' on the calibration "
                "data; check the preprocessing or the model."
            )
        histograms[name].add(
            sample[index], minimum=low[index], maximum=high[index], size=int(size[index])
        )
