"""Where the values of a tensor come from, seen through data movement."""

from __future__ import annotations

from collections.abc import Iterable

from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name
from lpot_examples.backends.tensorflow.groups import ComputeGroup
from lpot_examples.backends.tensorflow.kernels import ACTIVATIONS, MOVEMENTS


def movement_inputs(graph: Graph, name: str) -> list[str]:
    """Return the data tensors that a movement node reads."""
    node = graph.nodes[name]
    movement = MOVEMENTS[node.op]
    inputs = [tensor_name(source, port) for source, port in graph.data_inputs(node)]
    if movement.data is None:
        return inputs[:-1]
    return [inputs[index] for index in movement.data]


class Sources:
    """Tensors that computed the values which a tensor holds.

    A movement op adds no new values (zero padding aside), so the range of what it makes is that
    of its sources; only these need to be observed.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[str, frozenset[str]] = {}

    def of(self, tensor: str) -> frozenset[str]:
        """Return the source tensors of a tensor; itself if computed by no movement op."""
        stack = [tensor]
        while stack:
            current = stack[-1]
            if current in self._known:
                stack.pop()
                continue
            node = self._graph.nodes[split_name(current)[0]]
            # Activations change the range, so a tensor behind one is observed itself.
            if node.op not in MOVEMENTS or node.op in ACTIVATIONS:
                self._known[current] = frozenset([current])
                continue
            inputs = movement_inputs(self._graph, node.name)
            missing = [name for name in inputs if name not in self._known]
            if missing:
                stack.extend(missing)
                continue
            self._known[current] = frozenset().union(*(self._known[name] for name in inputs))
        return self._known[tensor]


def observed_tensors(graph: Graph, groups: Iterable[ComputeGroup]) -> list[str]:
    """Return the tensors whose ranges any configuration of these groups may need, sorted."""
    sources = Sources(graph)
    made: set[str] = set()
    read: set[str] = set()
    for group in groups:
        read |= sources.of(group.source)
        made.add(group.output)
        if group.sum_node is not None and group.summand is not None:
            made.add(group.linear)
            read |= sources.of(group.summand)
    # An activation by itself moves codes, so a tensor in front of it can be a boundary.
    stack = sorted(read - made)
    while stack:
        name = stack.pop()
        if graph.nodes[split_name(name)[0]].op in ACTIVATIONS:
            behind = sources.of(movement_inputs(graph, name)[0]) - read
            read |= behind
            stack.extend(sorted(behind - made))
    return sorted(made | read)
