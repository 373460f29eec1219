"""The calibration pass: one instrumented run of the fp32 graph over the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from lpot_examples.backends.tensorflow.observe import Observer
from lpot_examples.backends.tensorflow.runtime import import_tensorflow, session_config
from lpot_examples.calibration.collected import (
    FEWEST,
    MOST,
    SAMPLE,
    Collected,
    Observation,
    runs,
)
from lpot_examples.calibration.feed import samples
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.calibration.stream import Batch, ahead, any_number, together


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
    by_channel = [name for name in channel_tensors if observer.has_channels[name]]
    collected = Collected(tensors, by_channel, sizes=sizes)
    with tf.compat.v1.Session(graph=graph, config=session_config(fast_start=True)) as session:

        def run(batch: Batch) -> tuple[dict[str, Observation], int]:
            count = samples(batch)
            return observer.run(session, batch, count), count

        groups = ahead(together(batches, partial(_free, graph), sizes=sizes))
        for found, count in runs(groups, run, refusal=tf.errors.OpError):
            collected.add(found, count)
            if progress is not None:
                progress(collected.samples)
    return collected.by_size()


def _free(graph: Any, batch: Batch) -> bool:
    """Tell whether the first dimension of every input is free."""
    shapes = [graph.get_tensor_by_name(f"{name}:0").shape for name in batch]
    return any_number(None if shape.rank is None else tuple(shape) for shape in shapes)
