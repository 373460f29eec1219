"""Evaluate what depends on constants only.

Const ─► Identity ─► Mul ─► Rsqrt ─► Conv2D      Const ─────────────► Conv2D
Const ──────────────┘                       ══►
"""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name
from lpot_examples.backends.tensorflow.runtime import import_tensorflow

# A fold may not make the file much larger (Fill and Tile can make gigabytes out of scalars).
_MAX_GROWTH_BYTES = 1 << 20

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


def run(graph: Graph) -> int:
    """Replace every stateless node of constant inputs by its value; return how many."""
    foldable = _foldable(graph)
    frontier = _frontier(graph, foldable)
    if not frontier:
        return 0
    values = _evaluate(graph, foldable, frontier)
    folded = 0
    for name, value in zip(frontier, values, strict=True):
        if value.nbytes > _MAX_GROWTH_BYTES and value.nbytes > _source_bytes(graph, name):
            continue
        graph.add_constant(name, value)
        folded += 1
    graph.remove_unreachable()
    return folded


def _foldable(graph: Graph) -> set[str]:
    tf = import_tensorflow()
    from tensorflow.python.framework import op_def_registry

    constant = {node.name for node in graph if node.op == "Const"}
    foldable: set[str] = set()
    library = graph.function_names
    for name in graph.topological():
        node = graph.nodes[name]
        if node.op in _IMPURE or node.op in library or not node.input:
            continue
        if any(split_name(source)[0] not in constant for source in node.input):
            continue
        definition = op_def_registry.get(node.op)
        stateful = definition is None or definition.is_stateful
        if stateful or len(definition.output_arg) != 1 or "T" in _quantized_attrs(node, tf):
            continue
        constant.add(name)
        foldable.add(name)
    return foldable


def _quantized_attrs(node: Any, tf: Any) -> set[str]:
    return {
        key for key, attr in node.attr.items() if attr.type and tf.as_dtype(attr.type).is_quantized
    }


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
        with tf.compat.v1.Session(graph=constants) as session:
            values: list[Any] = session.run([f"{name}:0" for name in frontier])
    return values


def _source_bytes(graph: Graph, name: str) -> int:
    total = 0
    for source, port in graph.data_inputs(graph.nodes[name]):
        value = graph.constant(tensor_name(source, port))
        total += 0 if value is None else value.nbytes
    return total
