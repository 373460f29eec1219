"""The part of a network that int8 kernels can carry: what convolutions make and read.

Some rewrites pay only there: they trade a little fp32 time for an op that has an int8 kernel.
"""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name
from lpot_examples.backends.tensorflow.kernels import COMPUTE, MOVEMENTS

# Ops of one data input that keep the channels of a feature map where they are.
_SAME_CHANNELS = frozenset(
    {
        "Identity",
        "Relu",
        "Relu6",
        "MaxPool",
        "AvgPool",
        "ResizeNearestNeighbor",
        "BiasAdd",
        "LeakyRelu",
    }
)
_SUMS = frozenset({"Add", "AddV2"})
_SCALES = frozenset(
    {"Mul", "Sub", "RealDiv", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"}
)


class Trunk:
    """Follows feature maps of layout NHWC between convolutions.

    Args:
        graph: The graph. A node that is replaced must keep its number of channels.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._channels: dict[str, int | None] = {}

    def channels(self, tensor: str) -> int | None:
        """Return how many channels a tensor has, if convolutions made it; else None.

        Data movement, pools, rectifiers, per-channel arithmetic and sums may lie between.
        """
        stack = [tensor]
        while stack:
            name = stack[-1]
            if name in self._channels:
                stack.pop()
                continue
            sources = self._sources(name)
            missing = [source for source in sources if source not in self._channels]
            if missing and len(stack) <= len(self._graph.nodes):
                stack.extend(missing)
                continue
            self._channels[name] = self._made(name, [self._channels.get(s) for s in sources])
        return self._channels[tensor]

    def feeds_compute(self, name: str) -> bool:
        """Tell whether data movement alone lies between a node and some int8 kernel."""
        graph, seen, stack = self._graph, {name}, [name]
        while stack:
            for reader in graph.readers(stack.pop()):
                if reader.op in COMPUTE:
                    return True
                if reader.op in MOVEMENTS and reader.name not in seen:
                    seen.add(reader.name)
                    stack.append(reader.name)
        return False

    def _node(self, tensor: str) -> Any | None:
        name, port = split_name(tensor)
        outside = port != 0 or name in self._graph.inputs
        return None if outside else self._graph.nodes[name]

    def _sources(self, tensor: str) -> list[str]:
        """Return the tensors whose channels tell those of this one."""
        node = self._node(tensor)
        if node is None:
            return []
        inputs = [tensor_name(*source) for source in self._graph.data_inputs(node)]
        if node.op in _SAME_CHANNELS or node.op == "Pad":
            return inputs[:1]
        if node.op == "ConcatV2":
            return inputs[:-1]
        if node.op not in _SUMS | _SCALES:
            return []
        varying = [name for name in inputs if self._graph.constant(name) is None]
        return varying if len(varying) == 1 or node.op in _SUMS else []

    def _made(self, tensor: str, channels: list[int | None]) -> int | None:
        node = self._node(tensor)
        if node is None:
            return None
        if node.op in ("Conv2D", "DepthwiseConv2dNative"):
            weights = self._graph.constant(node.input[1])
            if weights is None or node.attr["data_format"].s not in (b"", b"NHWC"):
                return None
            return int(weights.shape[3] * (weights.shape[2] if node.op != "Conv2D" else 1))
        if not channels or any(count is None for count in channels):
            return None
        known = [count for count in channels if count is not None]
        if node.op == "ConcatV2":
            axis = self._graph.constant(node.input[len(known)])
            return sum(known) if axis is not None and int(axis) in (-1, 3) else None
        return known[0] if len(set(known)) == 1 else None
