"""What passes share: names for what they add, and rewriting node by node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lpot_examples.backends.onnx import proto
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.proto import Array

Match = TypeVar("Match")


class Names:
    """Names that nothing in a graph has, and constants made under them.

    Args:
        graph: The graph.

    Attributes:
        constants: The initializers made.
    """

    def __init__(self, graph: Graph) -> None:
        self._taken = {*graph.names, *graph.nodes}
        self.constants: list[Any] = []

    def free(self, wanted: str) -> str:
        """Return a name that nothing has yet."""
        name, count = wanted, 1
        while name in self._taken:
            count += 1
            name = f"{wanted}{count}"
        self._taken.add(name)
        return name

    def constant(self, wanted: str, values: Array) -> str:
        """Add a constant and return its name."""
        name = self.free(wanted)
        self.constants.append(proto.tensor(name, values))
        return name


def replaced(graph: Graph, new: dict[str, list[Any]], constants: list[Any]) -> Any:
    """Return a model with nodes replaced where they stand.

    Args:
        graph: The graph.
        new: Node name to what takes its place.
        constants: Initializers to add.
    """
    made = proto.copy_of(graph.proto)
    del made.graph.node[:]
    for name, node in graph.nodes.items():
        made.graph.node.extend(new.get(name, [node]))
    made.graph.initializer.extend(constants)
    return made


def rewrite_nodes(
    model: Any,
    check: Callable[[Graph, Any], Match | str | None],
    rewrite: Callable[[Match, Names], list[Any]],
) -> Any:
    """Return the model with every node rewritten that matches; the same one if none does.

    Args:
        model: A cleaned network; not changed.
        check: Returns a match of a node, the reason why it declines, or None for other ops.
        rewrite: Returns the nodes that take the place of a match.
    """
    graph = Graph(model)
    names = Names(graph)
    new = {}
    for name, node in graph.nodes.items():
        match = check(graph, node)
        if match is not None and not isinstance(match, str):
            new[name] = rewrite(match, names)
    return replaced(graph, new, names.constants) if new else model
