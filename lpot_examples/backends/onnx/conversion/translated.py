"""Statistics of a TensorFlow network in the terms of the ONNX network that it was converted to.

A tensor has the values that it had, in another order of dimensions, so ranges and histograms are
the same, and those of channels too. Of what movement makes the range is that of what it moves, as
it was before (`tensorflow.sources`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.kernels import MOVEMENTS
from lpot_examples.backends.onnx.plan import data_inputs
from lpot_examples.backends.onnx.proto import is_standard
from lpot_examples.backends.tensorflow.graphdef import Graph as TensorFlowGraph
from lpot_examples.backends.tensorflow.graphdef import split_name
from lpot_examples.backends.tensorflow.kernels import POOLS
from lpot_examples.backends.tensorflow.sources import Sources
from lpot_examples.calibration.channels import ChannelStatistics
from lpot_examples.calibration.histogram import Histogram
from lpot_examples.calibration.ranges import Range
from lpot_examples.calibration.statistics import Statistics

# Averages are narrower than what they are made of, and have an encoding of their own here.
_AVERAGES = frozenset(name for name in POOLS if name.startswith("Avg"))

# Movement that the tables leave out because it has no kernel on codes.
_ALSO = ("Identity", "Pad")


@dataclass(frozen=True)
class Translation:
    """What is known of the tensors of a converted network.

    Attributes:
        statistics: Theirs.
        unknown: Those whose ranges cannot be told from what was collected.
    """

    statistics: Statistics
    unknown: tuple[str, ...]


def translate(
    graph: Graph,
    statistics: Statistics,
    *,
    names: Mapping[str, str],
    before: TensorFlowGraph,
    wanted: Sequence[str],
    axes: Mapping[str, int],
    algorithms: Iterable[str],
) -> Translation:
    """Give statistics the names of another network's tensors.

    Args:
        graph: The converted network, cleaned.
        statistics: Those of the TensorFlow network.
        names: See `from_tensorflow.Converted`.
        before: The TensorFlow network.
        wanted: The tensors whose ranges are needed.
        axes: Those whose channels are wanted.
        algorithms: The range algorithms that will be asked for.
    """
    find = _Finder(graph, before, names, frozenset(statistics.tensors))
    tensors: dict[str, Histogram] = {}
    ranges: dict[tuple[str, str], Range] = {}
    unknown = []
    for name in wanted:
        sources = find.sources(name)
        if sources is None:
            unknown.append(name)
        elif len(sources) == 1:
            tensors[name] = statistics.tensors[next(iter(sources))]
        else:
            for algorithm in {"minmax", *algorithms}:
                found = [statistics.range(source, algorithm) for source in sorted(sources)]
                low, high = min(one[0] for one in found), max(one[1] for one in found)
                ranges[name, algorithm] = (low, high)
    channels: dict[str, ChannelStatistics] = {}
    for name, axis in axes.items():
        known = statistics.channels.get(find.equal(name))
        shape = graph.shape(name)
        if known is not None and shape is not None and shape[axis] in (None, len(known.minimum)):
            channels[name] = known
    own = Statistics(tensors, statistics.samples, channels, ranges)
    return Translation(own, tuple(unknown))


class _Finder:
    """Finds where the values of a tensor come from."""

    def __init__(
        self,
        graph: Graph,
        before: TensorFlowGraph,
        names: Mapping[str, str],
        observed: frozenset[str],
    ) -> None:
        self._graph = graph
        self._before = before
        self._sources = Sources(before)
        self._names = names
        self._observed = observed
        self._known: dict[str, frozenset[str] | None] = {}

    def equal(self, tensor: str) -> str:
        """Return the tensor with the same channels, or an empty string."""
        node = self._graph.maker(tensor)
        while tensor not in self._names and node is not None:
            if not is_standard(node, "Transpose", "Identity"):
                return ""
            tensor = node.input[0]
            node = self._graph.maker(tensor)
        return self._names.get(tensor, "")

    def sources(self, tensor: str) -> frozenset[str] | None:
        """Return observed tensors that have the values of a tensor; None if there are none."""
        if tensor not in self._known:
            self._known[tensor] = self._find(tensor)
        return self._known[tensor]

    def _find(self, tensor: str) -> frozenset[str] | None:
        known = self._names.get(tensor)
        if known in self._observed:
            return frozenset([known])
        if known is not None:
            maker = self._before.nodes[split_name(known)[0]]
            found = self._sources.of(known)
            if found <= self._observed and maker.op not in _AVERAGES:
                return found
        node = self._graph.maker(tensor)
        if node is None or not is_standard(node, *MOVEMENTS, *_ALSO):
            return None
        if is_standard(node, "Resize") and tensor not in self._names:
            return None
        parts = [self.sources(name) for name in data_inputs(node)]
        if any(part is None for part in parts):
            return None
        return frozenset().union(*(part for part in parts if part is not None))
