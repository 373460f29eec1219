"""Channel factors: every channel gets a resolution of its own, at no run-time cost.

A narrow channel of a wide tensor uses few of the 256 codes, more so where data movement ties
branches of different ranges to one encoding. So its codes are stretched: with a factor f per
channel, real = f · scale · (code − zero point). Whoever makes the tensor divides its weight scales
and bias by f, channel by channel, and whoever reads it multiplies its weights by f, input channel
by input channel; both happen here, not at run time.

This is cross-layer equalization (Nagel et al., "Data-Free Quantization Through Weight Equalization
and Bias Correction", 2019), through data movement as well. Stretching fully (``strength`` 1) moves
all of the difference into the reader's weights, whose own resolution it costs; 0.5 shares it. A
depthwise reader has a weight scale per channel and loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.backends.tensorflow.graphdef import Graph, tensor_name
from lpot_examples.backends.tensorflow.shapes import Shapes
from lpot_examples.backends.tensorflow.slices import dense_slices
from lpot_examples.backends.tensorflow.sources import movement_inputs

Factors = NDArray[np.float32]

_SPATIAL = frozenset(
    {"MaxPool", "AvgPool", "ResizeNearestNeighbor", "Identity", "Relu", "LeakyRelu"}
)


class Tracker:
    """Follows channels through data movement.

    Args:
        graph: The cleaned graph.
        shapes: Its static shapes.
    """

    def __init__(self, graph: Graph, shapes: Shapes) -> None:
        self._graph = graph
        self._shapes = shapes

    def channels(self, tensor: str) -> int | None:
        """Return the size of a tensor's last dimension, or None if it is unknown."""
        shape = self._shapes.of(tensor)
        return shape[-1] if shape else None

    def trackable(self, name: str) -> bool:
        """Tell whether a movement node takes channels to known places."""
        tensors = [*movement_inputs(self._graph, name), tensor_name(name)]
        if any(self.channels(tensor) is None for tensor in tensors):
            return False
        ones = [np.ones(self.channels(t) or 0, np.float32) for t in tensors[:-1]]
        return self.through(name, ones) is not None

    def through(self, name: str, inputs: Sequence[Factors]) -> list[Factors] | None:
        """Return the factors of a movement node's outputs, or None if they cannot be told."""
        node = self._graph.nodes[name]
        if node.op in _SPATIAL:
            return [inputs[0]]
        if node.op == "Pad":
            paddings = self._graph.constant(node.input[1])
            return None if paddings is None or paddings[-1].any() else [inputs[0]]
        if node.op == "ConcatV2":
            return self._concatenated(node, inputs)
        if node.op == "StridedSlice":
            return self._sliced(node, inputs[0])
        if node.op == "Split":
            return self._split(node, inputs[0])
        return None

    def _rank(self, node: Any) -> int:
        shape = self._shapes.of(node.name)
        return len(shape) if shape else 0

    def _concatenated(self, node: Any, inputs: Sequence[Factors]) -> list[Factors] | None:
        axis = self._graph.constant(node.input[len(inputs)])
        if axis is None or int(axis) not in (-1, self._rank(node) - 1):
            return None
        return [np.concatenate(inputs)]

    def _sliced(self, node: Any, factors: Factors) -> list[Factors] | None:
        parts = dense_slices(self._graph, node, self._rank(node))
        return None if not parts else [factors[parts[-1]]]

    def _split(self, node: Any, factors: Factors) -> list[Factors] | None:
        axis = self._graph.constant(node.input[0])
        if axis is None or int(axis) not in (-1, self._rank(node) - 1):
            return None
        return list(np.split(factors, int(node.attr["num_split"].i)))


def stretch(own: tuple[Factors, Factors], shared: tuple[float, float], strength: float) -> Factors:
    """Return the factors of channels of range ``own`` in an encoding of range ``shared``.

    Args:
        own: Least and greatest values, each [channels].
        shared: The range of the encoding.
        strength: 0 for factors of 1, 1 for channels that use the whole encoding.

    Returns:
        float32 [channels], in (0, 1]; 1 where a channel uses the whole range.
    """
    ratio = np.zeros(len(own[0]))
    for values, bound in zip(own, shared, strict=True):
        if bound != 0:
            ratio = np.maximum(ratio, np.asarray(values, np.float64) / bound)
    # Beyond 2^8 nothing is gained: such a channel is constant next to the others.
    return np.asarray(np.clip(ratio, 2.0**-8, 1.0) ** strength, np.float32)


def propagate(
    tracker: Tracker, movements: Sequence[str], graph: Graph, sources: Mapping[str, Factors]
) -> dict[str, Factors]:
    """Carry the factors of source tensors through movement nodes.

    Args:
        tracker: Knows where channels go.
        movements: Trackable movement nodes, in order of execution.
        graph: The cleaned graph.
        sources: Factors of the tensors that no movement node makes.

    Returns:
        Factors of all tensors.
    """
    factors = dict(sources)
    for name in movements:
        inputs = [factors[tensor] for tensor in movement_inputs(graph, name)]
        outputs = tracker.through(name, inputs)
        assert outputs is not None  # the caller gives trackable nodes only
        for port, output in enumerate(outputs):
            factors[tensor_name(name, port)] = output
    return factors
