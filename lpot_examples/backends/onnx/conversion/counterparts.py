"""Which group of a converted network is which one of the TensorFlow network it was made from.

    TensorFlow   x ─► Conv2D ─► BiasAdd ─► AddV2 ─► Relu ─► y       one group, named after Conv2D
    ONNX         x ─► Conv ─► linear;    linear, summand ─► Add ─► Relu ─► y

They are the same if one makes a tensor that the other makes, or one with the bias or the sum in
between, and their weights are equal. Where names were lost in the conversion, weights that no other
group has tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.groups import ComputeGroup
from lpot_examples.backends.onnx.proto import Array, is_standard
from lpot_examples.backends.tensorflow.groups import ComputeGroup as TensorFlowGroup

# What may stand between a linear op and the tensor that TensorFlow's group makes.
_BEHIND = ("Add", "Relu", "Clip", "LeakyRelu", "Reshape", "Transpose", "Squeeze", "Unsqueeze")
_FURTHEST = 6

# Constants that were folded in the conversion are rounded to float32 once more.
_ROUNDING = 1e-5


def counterparts(
    graph: Graph,
    groups: Mapping[str, ComputeGroup],
    *,
    names: Mapping[str, str],
    others: Mapping[str, TensorFlowGroup],
) -> dict[str, str]:
    """Return group names of the converted network and those of the TensorFlow network.

    Args:
        graph: The converted network, cleaned.
        groups: Its groups.
        names: See `from_tensorflow.Converted`.
        others: The groups of the TensorFlow network.
    """
    makers: dict[str, str] = {}
    for name, other in others.items():
        makers[other.linear] = makers[other.output] = name
    found: dict[str, str] = {}
    for name, group in groups.items():
        met = (makers.get(names.get(tensor, "")) for tensor in _behind(graph, group))
        candidate = next((one for one in met if one is not None), None)
        if candidate is None or candidate in found.values():
            continue
        if _equal(_own(group), _plain(others[candidate])):
            found[name] = candidate
    left = [name for name in groups if name not in found]
    unused = [name for name in others if name not in found.values()]
    by_weights = _unique({name: _digest(_plain(others[name])) for name in unused})
    for digest, name in _unique({name: _digest(_own(groups[name])) for name in left}).items():
        if digest in by_weights:
            found[name] = by_weights[digest]
    return found


def _behind(graph: Graph, group: ComputeGroup) -> Iterator[str]:
    """Yield the tensors that a group makes, and those that its only readers make of them."""
    tensor = graph.nodes[group.anchor].output[0]
    for _ in range(_FURTHEST):
        yield tensor
        reader = graph.only_reader(tensor)
        if reader is None or not is_standard(reader, *_BEHIND):
            return
        tensor = reader.output[0]


def _equal(one: Array, two: Array) -> bool:
    if one.shape != two.shape:
        return False
    return bool(np.abs(one - two).max(initial=0.0) <= _ROUNDING * np.abs(two).max(initial=0.0))


def _own(group: ComputeGroup) -> Array:
    """Return weights as [outputs, inputs of a group, …]."""
    if group.op == "Conv" or group.channel_axis == 0:
        return group.weights
    return group.weights.T


def _plain(group: TensorFlowGroup) -> Array:
    """Return TensorFlow's weights in the same form."""
    weights = group.weights
    if group.op == "DepthwiseConv2dNative":
        height, width, channels, each = weights.shape
        return weights.transpose(2, 3, 0, 1).reshape(channels * each, 1, height, width)
    return weights.transpose(3, 2, 0, 1) if weights.ndim == 4 else weights.T


def _digest(weights: Array) -> str:
    content = np.ascontiguousarray(weights, np.float32)
    return hashlib.sha256(repr(content.shape).encode() + content.tobytes()).hexdigest()


def _unique(digests: Mapping[str, str]) -> dict[str, str]:
    """Return names by digest, where only one has it."""
    names: dict[str, list[str]] = {}
    for name, digest in digests.items():
        names.setdefault(digest, []).append(name)
    return {digest: one[0] for digest, one in names.items() if len(one) == 1}
