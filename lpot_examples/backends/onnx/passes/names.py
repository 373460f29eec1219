"""Names for what passes add."""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.onnx import proto
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.proto import Array


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
