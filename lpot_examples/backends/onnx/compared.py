"""Where int8 is compared with fp32: in front of decisions, which hide small errors or magnify them.

A suppression, a top-k or a comparison turns values into decisions: one box more or less, and
outputs behind it cannot be compared entry by entry. So tensors are compared that go into decisions,
and the outputs that come from none.
"""

from __future__ import annotations

from collections.abc import Iterable

from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.proto import read_by

# Ops that have outputs of numbers although they decide, and those that give no numbers of theirs.
_SELECTIONS = frozenset({"NonMaxSuppression", "TopK", "NonZero", "Compress", "Unique"})
_CONTROL = frozenset({"If", "Loop", "Scan"})
_SHAPES = frozenset({"Shape", "Size"})


def compared_tensors(graph: Graph, groups: Iterable[str]) -> tuple[str, ...]:
    """Choose what to compare.

    Args:
        graph: The cleaned fp32 network.
        groups: Names of all nodes of the groups that may run in int8.

    Returns:
        The tensors: the outputs, if no decision stands in front of them.
    """
    groups = frozenset(groups)
    touched: set[str] = set()  # tensors whose values depend on what a group computes
    decided: set[str] = set()  # those of them that depend on a decision
    frontier: dict[str, None] = {}
    for name, node in graph.nodes.items():
        if node.op_type in _SHAPES:
            continue
        read = [one for one in read_by(node) if one in touched]
        if not read and name not in groups:
            continue
        made = [one for one in node.output if one]
        touched.update(made)
        floats = any(graph.is_float(one) for one in made)
        decides = node.op_type in _SELECTIONS | _CONTROL or (
            not floats and any(graph.is_float(one) for one in read)
        )
        if decides or decided.intersection(read):
            frontier.update(
                dict.fromkeys(one for one in read if one not in decided and graph.is_float(one))
            )
            decided.update(made)
    if not decided:
        return graph.outputs
    frontier.update(dict.fromkeys(one for one in graph.outputs if one in touched - decided))
    return tuple(sorted(frontier)) or graph.outputs
