"""Which channels of which tensors a convolution reads, through any data movement.

Every channel of every source gets a number. The numbers are sent through the network's movement
ops by ONNX Runtime, as if they were the values: what arrives at a convolution says where each of
its input channels comes from. Pools and resizing keep them, concatenation and slices move them, and
so do reshapes and transpositions such as those of a channel shuffle, of which nothing need be
known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.onnx import proto
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.groups import ComputeGroup
from lpot_examples.backends.onnx.kernels import MOVEMENTS
from lpot_examples.backends.onnx.model import serialized
from lpot_examples.backends.onnx.plan import can_follow, data_inputs
from lpot_examples.backends.onnx.proto import Array
from lpot_examples.backends.onnx.runtime import is_runtime_error, open_session, session_options
from lpot_examples.errors import ModelError

# Numbers of channels are sent as float32, which is exact up to here.
_MOST = 1 << 24


@dataclass(frozen=True)
class Channels:
    """Where the channels of convolutions go.

    Attributes:
        first: Convolution group to the number of its first output channel; the others follow.
        read: Group to the number of what each of its input channels is.
        free: bool [numbers], whether a channel is read by convolutions only.
    """

    first: Mapping[str, int]
    read: Mapping[str, Array]
    free: Array


def follow_channels(graph: Graph, groups: Mapping[str, ComputeGroup]) -> Channels:
    """Follow the channels of all convolutions to those that read them.

    Args:
        graph: The cleaned graph.
        groups: The groups that can run in int8.
    """
    convolutions = {name: one for name, one in groups.items() if one.op == "Conv"}
    first: dict[str, int] = {}
    count = 1  # 0 is what comes from elsewhere
    values: dict[str, Array] = {}
    for name, group in convolutions.items():
        shape = _whole(graph.shape(group.output))
        if shape is None or group.activation == "Clip" or count + group.channels > _MOST:
            continue
        first[name] = count
        numbers = np.arange(count, count + group.channels, dtype=np.float32)
        column = numbers.reshape(1, -1, *[1] * (len(shape) - 2))
        values[group.output] = np.broadcast_to(column, shape)
        count += group.channels
    arrived, passed = _moved(graph, values)
    free = np.ones(count, bool)
    read: dict[str, Array] = {}
    inside = {group.anchor for group in convolutions.values()}
    for tensor, numbers in arrived.items():
        channels = _constant_channels(numbers)
        for node in graph.readers(tensor):
            if node.name in passed:
                continue
            if node.name not in inside or channels is None or not _only_data(node, tensor):
                free[np.unique(numbers).astype(np.intp)] = False
            else:
                read[node.name] = channels
        if tensor in graph.outputs:
            free[np.unique(numbers).astype(np.intp)] = False
    free[0] = False
    return Channels(first, read, free)


def _moved(graph: Graph, values: Mapping[str, Array]) -> tuple[dict[str, Array], set[str]]:
    """Send numbers through movement ops; return those of all tensors, and the nodes they went by.

    A node whose inputs are not all numbered, or that cannot be run on its own with one sample, is
    not gone through.
    """
    known = dict(values)
    nodes = []
    for node in graph.nodes.values():
        data = data_inputs(node) if node.op_type in MOVEMENTS and can_follow(graph, node) else ()
        if data and all(name in known for name in data):
            nodes.append(node)
            known.update(dict.fromkeys(node.output, np.zeros(0)))
    found = dict(values)
    passed: set[str] = set()
    try:
        found |= run_movement(graph, nodes, values)
        passed = {node.name for node in nodes}
    except ModelError:  # sizes that depend on the image: nothing moves, nothing is stretched
        return found, passed
    return found, passed


def run_movement(
    graph: Graph, nodes: Sequence[Any], values: Mapping[str, Array]
) -> dict[str, Array]:
    """Run movement nodes on numbers.

    Args:
        graph: The graph that they are of.
        nodes: The nodes, in order of execution.
        values: float32 arrays by tensor, for all that they read from elsewhere.

    Returns:
        What each of them makes, by tensor.

    Raises:
        ModelError: If they cannot be run on arrays of these shapes.
    """
    read = {name for node in nodes for name in node.input}
    made = [name for node in nodes for name in node.output]
    fed = {name: one for name, one in values.items() if name in read}
    if not made:
        return {}
    small = proto.copy_without_graph(graph.proto)
    del small.graph.input[:], small.graph.output[:]
    small.graph.node.extend(nodes)
    small.graph.initializer.extend(one for one in graph.proto.graph.initializer if one.name in read)
    for name, one in fed.items():
        small.graph.input.append(proto.value(name, one.shape))
    small.graph.output.extend(proto.value(name) for name in made)
    with serialized(small) as content:
        session = open_session(content, session_options(threads=1), source="its data movement")
    try:
        results = session.run(made, {name: np.ascontiguousarray(one) for name, one in fed.items()})
    except Exception as error:  # its errors have no common base
        if not is_runtime_error(error):
            raise
        raise ModelError(str(error)) from error
    return dict(zip(made, results, strict=True))


def _whole(shape: tuple[int | None, ...] | None) -> tuple[int, ...] | None:
    """Return a shape for one sample, or None if more than that is not known."""
    if shape is None or any(size is None for size in shape[1:]):
        return None
    return (shape[0] or 1, *(int(size or 0) for size in shape[1:]))


def _only_data(node: Any, tensor: str) -> bool:
    return bool(node.input[0] == tensor and list(node.input).count(tensor) == 1)


def _constant_channels(numbers: Array) -> Array | None:
    """Return the number of each channel (axis 1), or None if there is none for all of it."""
    if numbers.ndim < 3:
        return None
    rows = np.moveaxis(numbers, 1, 0).reshape(numbers.shape[1], -1)
    if not rows.size or np.any(rows != rows[:, :1]):
        return None
    return rows[:, 0].astype(np.intp)
