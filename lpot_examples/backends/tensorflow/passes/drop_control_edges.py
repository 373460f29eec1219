"""Drop control edges that order nothing: those from nodes whose past has no effect.

    Const ─► Identity ┈► NoOp ┈► Identity ─► Conv2D      Const ─► Identity ─► Conv2D
                                                    ══►

TensorFlow 2 puts such edges around every variable and function call, and they outlive freezing.
An edge from an Assert, a Print, a random op, TF1 control flow, or anything computed from them,
stays. Where a constant waits for one of these, its reader waits instead, because the constant will
be folded into the reader:

    Assert ┈► Const ─► Conv2D ◄─ x      Assert ┈► Identity ─► Conv2D ◄─ Const
                                   ══►              ▲ x

The reader has a node for that, since TensorFlow's oneDNN pass aborts the process at a convolution
that waits by itself (seen with 2.21).
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from lpot_examples.backends.tensorflow.definitions import dtype_of
from lpot_examples.backends.tensorflow.effects import Effects
from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name


def run(graph: Graph, untouchable: Set[str] = frozenset()) -> int:
    """Drop the edges; return how many.

    Args:
        graph: Changed in place.
        untouchable: Names of nodes that must stay as they are, and whose edges say where they run.
    """
    waiting = [node for node in graph if node.name not in untouchable and _controls(node)]
    if not waiting:
        return 0
    kept = _with_effects_before(graph, untouchable)
    count = 0
    for node in waiting:
        controls = {name for name in _controls(node) if name[1:] not in kept}
        count += len(controls)
        graph.drop_inputs(node.name, controls)
    if any(node.op == "Const" and _controls(node) for node in waiting):
        _let_readers_wait(graph, untouchable)
    return count


def _controls(node: Any) -> set[str]:
    return {source for source in node.input if source[0] == "^"}


def _let_readers_wait(graph: Graph, untouchable: Set[str]) -> None:
    """Move what constants, and what is computed from constants only, wait for to their readers."""
    constant = _constant_valued(graph, untouchable | graph.output_nodes)
    order = {name: place for place, name in enumerate(graph.topological())}
    waits: dict[str, set[str]] = {}
    for name in constant:
        controls = _controls(graph.nodes[name])
        readers = _final_readers(graph, name, constant) if controls else set()
        if controls and untouchable.isdisjoint(readers):
            graph.drop_inputs(name, controls)
            for reader in readers:
                waits.setdefault(reader, set()).update(controls)
    for name in sorted(waits, key=order.__getitem__):
        _wait(graph, name, waits, constant)


def _constant_valued(graph: Graph, kept: Set[str]) -> set[str]:
    effects, found = Effects(graph.functions), set[str]()
    for name in graph.topological():
        node = graph.nodes[name]
        data = [source for source, _ in graph.data_inputs(node)]
        computed = bool(data) and found.issuperset(data) and not effects.of(node)
        if name not in kept and (node.op == "Const" or computed):
            found.add(name)
    return found


def _final_readers(graph: Graph, name: str, constant: Set[str]) -> set[str]:
    """Return the readers of a constant's value that are no constants themselves."""
    found, seen, stack = set[str](), set[str](), [name]
    while stack:
        for reader in graph.readers(stack.pop()):
            if reader.name not in constant:
                found.add(reader.name)
            elif reader.name not in seen:
                seen.add(reader.name)
                stack.append(reader.name)
    return found


def _wait(graph: Graph, name: str, waits: dict[str, set[str]], constant: Set[str]) -> None:
    """Let a node wait, unless it reads one that waits for the same."""
    node, controls = graph.nodes[name], waits[name]
    data = {
        index: tensor_name(*source)
        for index, source in enumerate(graph.data_inputs(node))
        if source[0] not in constant
    }
    if any(waits.get(split_name(tensor)[0], set()) >= controls for tensor in data.values()):
        return
    if not data:
        copy = type(node)()
        copy.CopyFrom(node)
        copy.input.extend(sorted(controls - set(node.input)))
        graph.insert(copy)
        return
    index, tensor = next(iter(data.items()))
    wait, dtype = graph.free_name(f"{name}/wait"), dtype_of(graph, tensor)
    graph.set_input(name, index, graph.add("Identity", wait, [tensor, *sorted(controls)], T=dtype))


def _with_effects_before(graph: Graph, untouchable: Set[str]) -> set[str]:
    """Return the nodes that have an effect, or read something that has."""
    effects = Effects(graph.functions)
    found: set[str] = set()
    for name in graph.topological():
        node = graph.nodes[name]
        inside = name in untouchable and name not in graph.inputs
        if (
            inside
            or effects.of(node)
            or any(split_name(source)[0] in found for source in node.input)
        ):
            found.add(name)
    return found
