"""Where int8 is compared with fp32: in front of decisions, which hide small errors or magnify them.

    image ─► trunk (groups) ─► boxes, scores ─► suppression ─► crops ─► groups ─► classes
                                     ▲               ▲                       ▲
                                     compared        given                   compared

A suppression, a top-k or a comparison turns values into decisions. One box more or less, or two in
another order, and outputs behind it cannot be compared entry by entry. So the tensors are compared
that go into decisions. Where groups run behind a decision, as the second stage of a detector does,
what the fp32 network decided is given to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lpot_examples.backends.tensorflow.control_flow import conditional_nodes
from lpot_examples.backends.tensorflow.definitions import definition, dtype_of
from lpot_examples.backends.tensorflow.effects import called_functions
from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name

# These read tensors, but no value of theirs.
_SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
# Decisions that also have floating-point outputs.
_SELECTIONS = ("CombinedNonMaxSuppression", "NonMaxSuppression", "TopK", "TensorArray")


@dataclass(frozen=True)
class Compared:
    """What to compare.

    Attributes:
        fetched: Tensors whose values are compared; at least one.
        given: Tensors that take the fp32 network's values meanwhile.
        inner: Whether ``fetched`` are other tensors than the outputs.
    """

    fetched: tuple[str, ...]
    given: tuple[str, ...] = ()
    inner: bool = False


def compared_tensors(graph: Graph, groups: Iterable[str]) -> Compared:
    """Choose what to compare: the outputs, or what goes into the decisions in front of them.

    Args:
        graph: The cleaned fp32 network.
        groups: Names of all nodes of the groups that may run in int8.

    Returns:
        Tensors that exist in the emitted networks, too: none of them is inside a loop.
    """
    flow = _Flow(graph, frozenset(groups))
    if not flow.decisions:
        return Compared(tuple(graph.outputs))
    given = tuple(sorted(flow.given()))
    fetched = tuple(sorted(flow.frontier(given)))
    return Compared(fetched, given, inner=True) if fetched else Compared(tuple(graph.outputs))


class _Flow:
    """How values of groups flow through a graph."""

    def __init__(self, graph: Graph, groups: frozenset[str]) -> None:
        self._graph = graph
        self._groups = groups & graph.nodes.keys()
        self._inside = conditional_nodes(graph)

    @cached_property
    def touched(self) -> set[str]:
        """Nodes whose values depend on what a group computes, groups included."""
        return self._behind(self._groups)

    @cached_property
    def decisions(self) -> set[str]:
        """Touched nodes that decide, or that run in control flow."""
        return {name for name in self.touched if self._decides(self._graph.nodes[name])}

    def given(self) -> set[str]:
        """Return the tensors that bring decisions to groups."""
        behind = self._behind(self.decisions)
        found: set[str] = set()
        seen: set[str] = set()
        stack = [
            source
            for name in self._groups & behind
            for source in self._sources(name)
            if split_name(source)[0] not in self._groups
        ]
        while stack:
            tensor = stack.pop()
            name = split_name(tensor)[0]
            if name not in behind or tensor in seen or name in self._groups:
                continue
            seen.add(tensor)
            sources = list(self._sources(name))
            decided = [one for one in sources if split_name(one)[0] in behind]
            if name in self.decisions or any(split_name(one)[0] in self._inside for one in sources):
                found.add(tensor)  # the last that can be fed
            elif len(decided) < len(sources) and self._joins(sources, behind):
                found.update(one for one in decided if not self._within(one))
                found.update([tensor] if any(map(self._within, decided)) else [])
            else:
                stack += decided
        return found

    def frontier(self, given: Sequence[str]) -> set[str]:
        """Return the floating-point tensors in front of all decisions that are not given."""
        behind = self._behind(self.decisions, stop=frozenset(given))
        outputs = set(self._graph.outputs)
        found: set[str] = set()
        for name in self.touched - behind:
            for tensor in self._read(name) | {one for one in outputs if split_name(one)[0] == name}:
                into = any(
                    reader.name in behind and tensor in map(_plain, reader.input)
                    for reader in self._graph.readers(name)
                )
                if (into or tensor in outputs) and tensor not in given and self._is_float(tensor):
                    found.add(tensor)
        return found

    def _decides(self, node: Any) -> bool:
        if node.name in self._groups or node.op in _SHAPES:
            return False
        if node.name in self._inside or node.op.startswith(_SELECTIONS):
            return True
        if any(called_functions(node)):  # TF2's control flow, whatever it does
            return True
        found = definition(self._graph, node.op)
        if found is None or not found.output_arg:
            return False
        read = [one for one in self._sources(node.name) if split_name(one)[0] in self.touched]
        return any(map(self._is_float, read)) and not self._is_float(node.name)

    def _behind(self, start: Iterable[str], *, stop: frozenset[str] = frozenset()) -> set[str]:
        """Return the nodes whose values depend on these, these included.

        Args:
            start: Node names.
            stop: Tensors that pass nothing on.
        """
        found: set[str] = set()
        stack = list(start)
        while stack:
            name = stack.pop()
            if name in found:
                continue
            found.add(name)
            stack += [
                reader.name
                for reader in self._graph.readers(name)
                if reader.op not in _SHAPES
                and any(
                    split_name(source)[0] == name and _plain(source) not in stop
                    for source in reader.input
                    if not source.startswith("^")
                )
            ]
        return found

    def _joins(self, sources: Sequence[str], behind: set[str]) -> bool:
        """Tell whether decisions meet values of groups that do not come from decisions."""
        others = (split_name(one)[0] for one in sources)
        return any(name in self.touched and name not in behind for name in others)

    def _within(self, tensor: str) -> bool:
        return split_name(tensor)[0] in self._inside

    def _sources(self, name: str) -> Iterator[str]:
        for source, port in self._graph.data_inputs(self._graph.nodes[name]):
            yield tensor_name(source, port)

    def _read(self, name: str) -> set[str]:
        """Return the outputs of a node that anything reads."""
        read = set()
        for reader in self._graph.readers(name):
            read |= {_plain(one) for one in reader.input if split_name(one)[0] == name}
        return {one for one in read if not one.startswith("^")}

    def _is_float(self, tensor: str) -> bool:
        try:
            return bool(dtype_of(self._graph, tensor).is_floating)
        except KeyError:  # a function's body or an op that TensorFlow does not list
            return False


def _plain(source: str) -> str:
    """Return a reference without the ``:0`` that may be left out."""
    return source if source.startswith("^") else tensor_name(*split_name(source))
