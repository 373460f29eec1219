"""Compute ops in the functions that remain: bodies of TF2 loops and conditionals.

While(body=f, cond=g)        f: arg ─► Conv2D ─► ret        reported as <while>/body/<conv>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.kernels import COMPUTE
from lpot_examples.graph import Group, Op, Precision

_PLACES = {
    "While": "a while {role}",
    "StatelessWhile": "a while {role}",
    "If": "a branch of an if",
    "StatelessIf": "a branch of an if",
    "Case": "a branch of a case",
    "StatelessCase": "a branch of a case",
}


def groups_in_bodies(graph: Graph) -> Iterator[Group]:
    """Yield a group, of fp32 only, for each compute op that runs inside a function.

    A tensor there has one value for each run of the body, or none, so its range cannot be observed
    like that of an ordinary tensor.
    """
    if graph.functions:
        for node in graph:
            yield from _below(graph, node, path=node.name, place="a function", callers=())


def _below(
    graph: Graph, node: Any, *, path: str, place: str, callers: tuple[str, ...]
) -> Iterator[Group]:
    for role, function in _functions(graph, node):
        if function in callers or function not in graph.functions:
            continue
        here = _PLACES.get(node.op, place).format(role=role)
        for inner in graph.functions[function].node_def:
            name = f"{path}/{role}/{inner.name}"
            if inner.op in COMPUTE:
                yield Group(
                    name=name,
                    type=inner.op,
                    ops=(Op(name, inner.op),),
                    precisions=(Precision.FP32,),
                    reason=f"inside {here}, where ranges cannot be calibrated",
                )
            yield from _below(graph, inner, path=name, place=here, callers=(*callers, function))


def _functions(graph: Graph, node: Any) -> Iterator[tuple[str, str]]:
    """Yield (role, function name) of what a node calls."""
    if node.op in graph.functions:
        yield "call", node.op
    for key in sorted(node.attr):
        attr = node.attr[key]
        if attr.HasField("func"):
            yield key, attr.func.name
        for index, function in enumerate(attr.list.func):
            yield f"{key}_{index}", function.name
