"""Which nodes run inside TF1 loops or conditionals, where nothing may be rewritten.

A loop:           Enter ─► Merge ─► Switch ─► body ─► NextIteration ─► (Merge)
                                      └─────► Exit
A conditional:    Switch ─► branch ─► Merge
"""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph

_ENTERS = frozenset({"Enter", "RefEnter"})
_EXITS = frozenset({"Exit", "RefExit"})
_SWITCHES = frozenset({"Switch", "RefSwitch"})
_MERGES = frozenset({"Merge", "RefMerge"})
# Far deeper than any real nesting; it ends the search in a malformed graph.
_MAX_DEPTH = 16


def conditional_nodes(graph: Graph) -> dict[str, str]:
    """Return node name to 'a loop' or 'a conditional' for nodes that may run never or often.

    A tensor inside a loop has a value per iteration and one behind a Switch may have none, so
    neither can be calibrated like an ordinary tensor. The nodes that close a construct count as
    outside, unless another one surrounds them.
    """
    inside: dict[str, str] = {}
    seen: set[tuple[str, int, int]] = set()
    stack = [(node, 0, 0) for node in graph if node.op in _ENTERS or _branches(graph, node)]
    while stack:
        node, loops, branches = stack.pop()
        loops += (node.op in _ENTERS) - (node.op in _EXITS)
        branches += _branches(graph, node) - _joins(graph, node)
        state = (node.name, max(loops, 0), max(branches, 0))
        if state in seen or max(loops, branches) > _MAX_DEPTH or max(loops, branches) <= 0:
            continue
        seen.add(state)
        if loops > 0 or node.name not in inside:
            inside[node.name] = "a loop" if loops > 0 else "a conditional"
        stack.extend((reader, *state[1:]) for reader in graph.readers(node.name))
    return inside


def _branches(graph: Graph, node: Any) -> bool:
    """Tell whether a node opens a conditional; the Switch of a loop asks its LoopCond."""
    if node.op not in _SWITCHES:
        return False
    return bool(graph.nodes[graph.data_inputs(node)[1][0]].op != "LoopCond")


def _joins(graph: Graph, node: Any) -> bool:
    """Tell whether a node closes a conditional; the Merge of a loop reads what enters it."""
    if node.op not in _MERGES:
        return False
    sources = {graph.nodes[name].op for name, _ in graph.data_inputs(node)}
    return not sources & (_ENTERS | {"NextIteration"})
