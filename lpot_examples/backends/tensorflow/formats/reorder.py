"""The same network gives the same bytes: node order and names do not depend on the process."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lpot_examples.backends.tensorflow.graphdef import split_name, tensor_name
from lpot_examples.errors import ModelError

# What TensorFlow puts in front of the names of nodes that it inlines, and of functions.
_CALL = re.compile(r"(?:(?:Stateful)?PartitionedCall(?:_\d+)?/)+")
_FUNCTION = re.compile(r"(?:__inference_)?(.+?)(?:_\d+|_frozen|_const)*")


def reachable(graph_def: Any, outputs: Sequence[str], inputs: Sequence[str] = ()) -> Any:
    """Return the nodes that tensors need, each after what it reads.

    TensorFlow's own order changes from run to run. Loops of TF1 control flow, which no order can
    satisfy, are closed by their NextIteration nodes.

    Args:
        graph_def: Any ``GraphDef``.
        outputs: Tensor or node names.
        inputs: Nodes to keep as well.

    Raises:
        ModelError: If a node reads one that is not in the graph.
    """
    from tensorflow.core.framework import graph_pb2

    nodes = {node.name: node for node in graph_def.node}
    result = graph_pb2.GraphDef(versions=graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    done: set[str] = set()
    waiting: set[str] = set()
    stack = [split_name(name)[0] for name in reversed([*inputs, *outputs])]
    while stack:
        name = stack[-1]
        node = _existing(nodes, name)
        missing = [
            source for source in _sources(node) if source not in done and source not in waiting
        ]
        if name not in done and missing:
            waiting.add(name)
            stack.extend(reversed(missing))
            continue
        stack.pop()
        if name not in done:
            done.add(name)
            result.node.append(node)
    return result


def _sources(node: Any) -> Iterator[str]:
    return (split_name(source)[0] for source in node.input)


def _existing(nodes: dict[str, Any], name: str) -> Any:
    if name not in nodes:
        reader = next((other for other, node in nodes.items() if name in _sources(node)), "?")
        raise ModelError(
            f"the network is damaged: node '{reader}' reads '{name}', which is not in the graph."
        )
    return nodes[name]


def tidy_names(graph_def: Any, kept: Iterable[str]) -> None:
    """Shorten names that TensorFlow made while inlining, in place.

    ``StatefulPartitionedCall/net/conv`` becomes ``net/conv`` where that is free, and functions lose
    the numbers by which a process tells them apart.

    Args:
        graph_def: Frozen and in the order of `reachable`.
        kept: Node names that must stay.
    """
    names = {node.name for node in graph_def.node}
    new: dict[str, str] = {}
    for node in graph_def.node:
        short = _CALL.sub("", node.name, count=1) if _CALL.match(node.name) else node.name
        if short and short not in names and node.name not in kept:
            names.add(short)
            new[node.name] = short
    for node in graph_def.node:
        node.name = new.get(node.name, node.name)
        for index, source in enumerate(node.input):
            name, port = split_name(source)
            if name in new:
                node.input[index] = f"^{new[name]}" if port < 0 else tensor_name(new[name], port)
    _tidy_functions(graph_def)


def _tidy_functions(graph_def: Any) -> None:
    functions = {function.signature.name: function for function in graph_def.library.function}
    new: dict[str, str] = {}
    stack = [reversed(graph_def.node)]
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            continue
        for name in _called(node, functions):
            if name not in new:
                new[name] = _free(name, set(new.values()))
                stack.append(reversed(functions[name].node_def))
    kept = sorted((functions[name] for name in new), key=lambda item: new[item.signature.name])
    library = type(graph_def.library)()
    library.function.extend(kept)
    graph_def.library.CopyFrom(library)
    bodies = (node for function in graph_def.library.function for node in function.node_def)
    for node in [*graph_def.node, *bodies]:
        node.op = new.get(node.op, node.op)
        for function in _references(node):
            function.name = new.get(function.name, function.name)
    for function in graph_def.library.function:
        function.signature.name = new[function.signature.name]
        function.attr.pop("_original_func_name", None)


def _free(name: str, taken: set[str]) -> str:
    from tensorflow.python.framework import op_def_registry

    match = _FUNCTION.fullmatch(name)
    base = match[1] if match else name
    number, candidate = 0, base
    while candidate in taken or op_def_registry.get(candidate) is not None:
        number += 1
        candidate = f"{base}_{number}"
    return candidate


def _called(node: Any, functions: dict[str, Any]) -> list[str]:
    names = [node.op, *(function.name for function in _references(node))]
    return [name for name in names if name in functions]


def _references(node: Any) -> Iterator[Any]:
    for key in sorted(node.attr):
        attr = node.attr[key]
        if attr.HasField("func"):
            yield attr.func
        yield from attr.list.func
