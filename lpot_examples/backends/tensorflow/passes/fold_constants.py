"""Evaluate what depends on constants only.

Const ─► Identity ─► Mul ─► Rsqrt ─► Conv2D      Const ─────────────► Conv2D
Const ──────────────┘                       ══►
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph, split_name
from lpot_examples.backends.tensorflow.runtime import import_tensorflow, session_config

# A fold may not make the file much larger (Fill and Tile can make gigabytes out of scalars).
_MAX_GROWTH_BYTES = 1 << 20
# Weights stored in fewer bits become float32 (Cast, arithmetic on integers), at most four times.
_MAX_GROWTH = 4

_IMPURE = frozenset(
    [
        "Placeholder",
        "PlaceholderWithDefault",
        "Enter",
        "Exit",
        "Merge",
        "Switch",
        "NextIteration",
        "LoopCond",
        "RefEnter",
        "RefExit",
        "RefMerge",
        "RefSwitch",
        "Assert",
        "NoOp",
        "Const",
    ]
)


def run(graph: Graph, untouchable: Set[str] = frozenset()) -> int:
    """Replace every stateless node of constant inputs by its value; return how many.

    Args:
        graph: Changed in place.
        untouchable: Names of nodes that must stay and whose value is not known.
    """
    foldable = _foldable(graph, untouchable)
    skipped = _skip_identities(graph, foldable)
    frontier = _frontier(graph, foldable)
    if not frontier:
        graph.remove_unreachable()
        return skipped
    values = _evaluate(graph, foldable, frontier)
    folded = skipped
    for name, value in zip(frontier, values, strict=True):
        most = max(_MAX_GROWTH_BYTES, _MAX_GROWTH * _source_bytes(graph, name))
        if value.nbytes > most:
            continue
        graph.add_constant(name, value)
        folded += 1
    graph.remove_unreachable()
    return folded


def _foldable(graph: Graph, untouchable: Set[str]) -> set[str]:
    from tensorflow.python.framework import op_def_registry

    constant = {
        node.name
        for node in graph
        if node.op == "Const" and not node.input and node.name not in untouchable
    }
    foldable: set[str] = set()
    library = graph.functions
    for name in graph.topological():
        node = graph.nodes[name]
        if node.op in _IMPURE or node.op in library or not node.input or name in untouchable:
            continue
        if any(split_name(source)[0] not in constant for source in node.input):
            continue
        definition = op_def_registry.get(node.op)
        stateful = definition is None or definition.is_stateful
        if stateful or any(attr.HasField("func") for attr in node.attr.values()):
            continue
        if not _plain_output(node, definition):
            continue
        constant.add(name)
        foldable.add(name)
    return foldable


def _skip_identities(graph: Graph, foldable: set[str]) -> int:
    """Let the readers of a constant's Identity read the constant; return how many there were.

    Every weight of a frozen graph has one, so that evaluating them would copy all weights.
    """
    outputs = graph.output_nodes
    skipped = 0
    for name in sorted(foldable):
        node = graph.nodes[name]
        if node.op == "Identity" and name not in outputs and len(node.input) == 1:
            graph.redirect(name, node.input[0])
            foldable.discard(name)
            skipped += 1
    return skipped


def _plain_output(node: Any, definition: Any) -> bool:
    """Tell whether a node makes one tensor of numbers (no string, resource, quantized type)."""
    tf = import_tensorflow()
    if len(definition.output_arg) != 1:
        return False
    output = definition.output_arg[0]
    if output.number_attr or output.type_list_attr:
        return False
    number = output.type or node.attr[output.type_attr].type
    dtype = tf.as_dtype(number) if number else tf.string
    return bool(dtype.is_bool or dtype.is_floating or (dtype.is_integer and not dtype.is_quantized))


def _frontier(graph: Graph, foldable: set[str]) -> list[str]:
    """Return foldable nodes whose value something that stays will read."""
    outputs = graph.output_nodes
    return [
        name
        for name in graph.nodes
        if name in foldable
        and (name in outputs or any(r.name not in foldable for r in graph.readers(name)))
    ]


def _evaluate(graph: Graph, foldable: set[str], frontier: list[str]) -> list[Any]:
    tf = import_tensorflow()
    needed: set[str] = set()
    stack = list(frontier)
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack.extend(split_name(source)[0] for source in graph.nodes[name].input)
    graph_def = tf.compat.v1.GraphDef()
    graph_def.versions.CopyFrom(graph.versions)
    graph_def.node.extend(node for name, node in graph.nodes.items() if name in needed)
    with tf.Graph().as_default() as constants:
        tf.import_graph_def(graph_def, name="")
        # Each constant is computed once, so optimizing the graph first would take longer.
        config = session_config(fast_start=True)
        with tf.compat.v1.Session(graph=constants, config=config) as session:
            values: list[Any] = session.run([f"{name}:0" for name in frontier])
    return values


def _source_bytes(graph: Graph, name: str) -> int:
    """Return the size of all constants that a node is computed from."""
    total, seen, stack = 0, set(), [name]
    while stack:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        value = graph.constant(current)
        total += 0 if value is None else value.nbytes
        stack.extend(source for source, _ in graph.data_inputs(graph.nodes[current]))
    return total
