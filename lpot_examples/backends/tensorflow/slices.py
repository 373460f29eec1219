"""What a StridedSlice takes, dimension by dimension."""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph


def dense_slices(graph: Graph, node: Any, rank: int) -> list[slice] | None:
    """Return one slice per dimension, or None if the node is not that plain.

    Args:
        graph: The graph that holds its constants.
        node: A StridedSlice.
        rank: The rank of its input; 0 if unknown.

    Returns:
        None for bounds computed at run time, and where dimensions are added or removed.
    """
    bounds = [graph.constant(name) for name in node.input[1:4]]
    if rank == 0 or any(value is None for value in bounds):
        return None
    if node.attr["new_axis_mask"].i or node.attr["shrink_axis_mask"].i:
        return None
    given = [_one(node, index, *values) for index, values in enumerate(_rows(bounds))]
    ellipsis = node.attr["ellipsis_mask"].i
    if ellipsis:
        place = ellipsis.bit_length() - 1
        given[place : place + 1] = [slice(None)] * (rank - len(given) + 1)
    given += [slice(None)] * (rank - len(given))
    return given if len(given) == rank else None


def _rows(bounds: list[Any]) -> list[tuple[int, int, int]]:
    return [(int(b), int(e), int(s)) for b, e, s in zip(*bounds, strict=True)]


def _one(node: Any, index: int, begin: int, end: int, stride: int) -> slice:
    first = None if node.attr["begin_mask"].i >> index & 1 else begin
    last = None if node.attr["end_mask"].i >> index & 1 else end
    return slice(first, last, stride)
