"""Recognize upsampling to the nearest neighbour that is spelled out in reshapes.

    x ─► Reshape [n,h,1,w,1,c] ─► Mul by ones [1,1,k,1,k,1] ─► Reshape [n,h·k,w·k,c]
    x ─► Reshape [n,h,1,w,1,c] ─► Tile by     [1,1,k,1,k,1] ─► Reshape [n,h·k,w·k,c]
    x ─► Pack(k·x, axis 3) ─► Pack(k times, axis 2) ─► Reshape [n,h·k,w·k,c]
                 ══►
    x ─► ResizeNearestNeighbor [h·k,w·k]

Feature pyramids of TF1's object detection do it so. The one op takes less time, and moves eight-bit
tensors, while a multiplication would end the int8 part of the network.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name
from lpot_examples.backends.tensorflow.shapes import Shapes


@dataclass(frozen=True)
class Match:
    """An upsampling.

    Attributes:
        source: The tensor that is enlarged.
        chain: Names of the nodes that do it, the last one first.
        size: Height and width of the result.
    """

    source: str
    chain: tuple[str, ...]
    size: tuple[int, int]


def run(graph: Graph, untouchable: Set[str], declined: dict[str, str]) -> int:
    """Rewrite every upsampling of known size; return how many.

    Args:
        graph: Changed in place.
        untouchable: Nodes to leave alone.
        declined: Receives the reason why one was left alone, by its last node.
    """
    found = [
        (node, spelled)
        for node in graph
        if node.op == "Reshape"
        and (spelled := _chain(graph, node)) is not None
        and untouchable.isdisjoint([node.name, *spelled[1]])
    ]
    if not found:
        return 0
    shapes, count = Shapes(graph), 0
    for node, (source, chain) in found:
        match = check(graph, node, source=source, chain=chain, shapes=shapes)
        if isinstance(match, str):
            declined[node.name] = match
        elif match is not None:
            rewrite(graph, match)
            count += 1
    if count:
        graph.remove_unreachable()
    return count


def check(
    graph: Graph, node: Any, *, source: str, chain: tuple[str, ...], shapes: Shapes
) -> Match | str | None:
    """Match a chain whose shapes are those of an upsampling.

    Args:
        graph: The graph.
        node: The Reshape that ends the chain.
        source: The tensor that the chain reads.
        chain: The nodes in front of it, the last one first.
        shapes: Static shapes of the graph.
    """
    small, large = shapes.of(source), shapes.of(node.name)
    first, repeated = shapes.of(chain[1]), shapes.of(chain[0])
    if small is None or large is None or len(small) != 4 or len(large) != 4:
        return None
    if None in small[1:] or None in large[1:]:
        return "the size of the image is not known"
    height, width, channels = (size or 0 for size in small[1:])
    factor = (large[1] or 0) // height if height else 0
    if large[1:] != (height * factor, width * factor, channels) or factor < 2:
        return None
    if repeated is None or repeated[1:] != (height, factor, width, factor, channels):
        return None
    opened = (height, 1, width, 1, channels), (height, width, factor, channels)
    if first is None or first[1:] not in opened:
        return None
    return Match(source, (node.name, *chain), (height * factor, width * factor))


def rewrite(graph: Graph, match: Match) -> None:
    """Put the one op in the place of the chain's last node."""
    last = match.chain[0]
    dtype = graph.nodes[last].attr["T"]
    control = [name for step in match.chain for name in graph.nodes[step].input if name[0] == "^"]
    size = graph.add_constant(f"{last}/size", np.array(match.size, np.int32))
    graph.add(
        "ResizeNearestNeighbor",
        last,
        [match.source, size, *dict.fromkeys(control)],
        align_corners=False,
        # Centers of pixels stay clear of rounding, whatever the factor.
        half_pixel_centers=True,
    )
    graph.nodes[last].attr["T"].CopyFrom(dtype)


def _chain(graph: Graph, node: Any) -> tuple[str, tuple[str, ...]] | None:
    """Return the source of what might be an upsampling, and the nodes behind it; else None."""
    from tensorflow.core.framework import types_pb2

    if node.attr["T"].type != types_pb2.DT_FLOAT:
        return None
    inner = _node(graph, node.input[0])
    if inner is None:
        return None
    if inner.op == "Pack":
        first = _same_inputs(graph, inner, axis=2)
        outer = None if first is None else _node(graph, first)
        if outer is None or outer.op != "Pack":
            return None
        source = _same_inputs(graph, outer, axis=3)
        return None if source is None else (source, (inner.name, outer.name))
    repeated = _repeated(graph, inner)
    outer = None if repeated is None else _node(graph, repeated)
    if outer is None or outer.op != "Reshape":
        return None
    return tensor_name(*graph.data_inputs(outer)[0]), (inner.name, outer.name)


def _node(graph: Graph, tensor: str) -> Any | None:
    name, port = split_name(tensor)
    return graph.nodes[name] if port == 0 and name not in graph.inputs else None


def _same_inputs(graph: Graph, node: Any, *, axis: int) -> str | None:
    """Return what a Pack repeats along a new axis, or None."""
    tensors = {tensor_name(*source) for source in graph.data_inputs(node)}
    return tensors.pop() if len(tensors) == 1 and node.attr["axis"].i == axis else None


def _repeated(graph: Graph, node: Any) -> str | None:
    """Return the tensor that a Tile, or a Mul by ones, repeats along two axes of six."""
    operands = [tensor_name(*source) for source in graph.data_inputs(node)]
    if node.op == "Tile":
        times = graph.constant(operands[1])
        return operands[0] if times is not None and _spatial(times.tolist()) else None
    if node.op != "Mul":
        return None
    for tensor, ones in (operands, operands[::-1]):
        value = graph.constant(ones)
        if value is not None and np.all(value == 1) and _spatial(list(value.shape)):
            return tensor
    return None


def _spatial(factors: list[int]) -> bool:
    return len(factors) == 6 and [factors[axis] for axis in (0, 1, 3, 5)] == [1] * 4
