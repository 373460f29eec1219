"""The part of a network that int8 kernels can carry: what convolutions make and read.

Some rewrites pay only there: they trade a little fp32 time for an op that has an int8 kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

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
            return inputs[:1] if self._keeps_channels(node) else []
        if node.op == "ConcatV2":
            return inputs[:-1]
        if node.op not in _SUMS | _SCALES:
            return []
        varying = [name for name in inputs if self._graph.constant(name) is None]
        return varying if len(varying) == 1 or node.op in _SUMS else []

    def _keeps_channels(self, node: Any) -> bool:
        """Tell whether a node leaves the last dimension as it is."""
        if node.op == "Pad":
            paddings = self._graph.constant(node.input[1])
            return paddings is not None and len(paddings) == 4 and not paddings[3].any()
        if node.op not in ("MaxPool", "AvgPool", "BiasAdd"):
            return True
        if node.attr["data_format"].s not in (b"", b"NHWC"):
            return False
        if node.op == "BiasAdd":
            return True
        windows = [*node.attr["ksize"].list.i, *node.attr["strides"].list.i]
        return bool(windows[3] == windows[7] == 1)

    def _made(self, tensor: str, channels: list[int | None]) -> int | None:
        node = self._node(tensor)
        if node is None:
            return None
        if node.op in ("Conv2D", "DepthwiseConv2dNative"):
            weights = self._graph.constant(node.input[1])
            if weights is None or weights.dtype != np.float32:
                return None
            if node.attr["data_format"].s not in (b"", b"NHWC"):
                return None
            return int(weights.shape[3] * (weights.shape[2] if node.op != "Conv2D" else 1))
        if not channels or any(count is None for count in channels):
            return None
        known = [count for count in channels if count is not None]
        if node.op == "ConcatV2":
            axis = self._graph.constant(node.input[len(known)])
            return sum(known) if axis is not None and int(axis) in (-1, 3) else None
        if len(set(known)) > 1 or self._widens(node, known[0]):
            return None
        return known[0]

    def _widens(self, node: Any, channels: int) -> bool:
        """Tell whether an operand that is constant adds channels, or a dimension."""
        if node.op not in _SUMS | _SCALES or node.op.startswith("FusedBatchNorm"):
            return False
        values = [self._graph.constant(tensor_name(*s)) for s in self._graph.data_inputs(node)]
        return any(
            value is not None
            and (value.ndim > 4 or value.shape[-1:] not in ((), (1,), (channels,)))
            for value in values
        )
