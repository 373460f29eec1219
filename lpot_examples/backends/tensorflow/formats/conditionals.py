"""Take the branch of a TF1 conditional whose predicate is known.

x ─► Switch ─► training branch ──► Merge ─► y          x ─► other branch ─► y
False ─┘  └──► other branch ─────┘              ══►
"""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.definitions import dtype_of
from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name

_SWITCHES = frozenset({"Switch", "RefSwitch"})
_MERGES = frozenset({"Merge", "RefMerge"})
_FAR = 8


def resolve_conditionals(graph: Graph) -> int:
    """Remove the branches that are never taken; return how many Merge nodes went.

    Args:
        graph: Changed in place.
    """
    taken = {
        node.name: value
        for node in graph
        if node.op in _SWITCHES and (value := _known(graph, node.input[1])) is not None
    }
    if not taken:
        return 0
    dead = _dead(graph, {(name, 1 - int(value)) for name, value in taken.items()})
    count = 0
    for node in graph:
        if node.op in _MERGES and node.name not in dead:
            alive = [source for source in _data(node) if not _is_dead(source, dead, taken)]
            if len(alive) == 1 and len(node.input) > 1 and not _index_is_read(graph, node.name):
                graph.add("Identity", node.name, alive, T=dtype_of(graph, alive[0]))
                count += 1
    for name, value in taken.items():
        graph.redirect(tensor_name(name, int(value)), graph.nodes[name].input[0])
    return count


def _data(node: Any) -> list[str]:
    return [source for source in node.input if not source.startswith("^")]


def _index_is_read(graph: Graph, name: str) -> bool:
    """Tell whether a node asks a Merge which branch it took."""
    readers = graph.readers(name)
    return any((name, 1) in graph.data_inputs(reader) for reader in readers)


def _known(graph: Graph, source: str) -> bool | None:
    """Return the value of a predicate that is constant, also behind Identity and LogicalNot."""
    inverted = False
    for _ in range(_FAR):
        value = graph.constant(source)
        if value is not None:
            return bool(value) != inverted if value.ndim == 0 else None
        node = graph.nodes[split_name(source)[0]]
        if node.op not in ("Identity", "LogicalNot"):
            return None
        inverted ^= node.op == "LogicalNot"
        source = node.input[0]
    return None


def _dead(graph: Graph, tensors: set[tuple[str, int]]) -> set[str]:
    """Return the nodes that never run because they read a tensor that is never made."""
    taken = {name: port == 0 for name, port in tensors}
    dead: set[str] = set()
    stack = [
        reader
        for name, port in tensors
        for reader in graph.readers(name)
        if (name, port) in graph.data_inputs(reader)
    ]
    while stack:
        node = stack.pop()
        if node.name in dead or not _dies(node, dead, taken):
            continue
        dead.add(node.name)
        stack += graph.readers(node.name)
    return dead


def _dies(node: Any, dead: set[str], taken: dict[str, bool]) -> bool:
    if node.op in _MERGES:
        return all(_is_dead(source, dead, taken) for source in _data(node))
    return any(_is_dead(source, dead, taken) for source in node.input)


def _is_dead(source: str, dead: set[str], taken: dict[str, bool]) -> bool:
    name, port = split_name(source)
    return name in dead or (name in taken and port == 1 - int(taken[name]))
