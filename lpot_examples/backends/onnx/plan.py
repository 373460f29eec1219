"""Which tensors are carried in eight bits under a configuration, and in which encoding.

Tensors tied by data movement (a concatenation's parts, a pool's input and output) share one
encoding: they form a class, whose range is the union of its sources' ranges. ONNX Runtime's kernels
take unsigned codes with any zero point, padded with that.

    conv ─► Relu ─┐
                  ├─► Concat ─► y
    conv ─────────┘

A Relu is a part of its kernel only if code 0 means 0.0. Where other parts of a concatenation are
negative, it is loose: each part has an encoding of its own, and is given that of y on the way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.groups import ComputeGroup, Grouping, made_by
from lpot_examples.backends.onnx.kernels import ARITHMETIC, MOVEMENTS, SHRINKING
from lpot_examples.backends.onnx.proto import attribute, is_standard
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.graph import TuningConfig
from lpot_examples.quantize.encoding import Encoding, asymmetric, unsigned


@dataclass(frozen=True)
class Plan:
    """The outcome of planning.

    Attributes:
        groups: Anchor name to group, for the groups that run in int8.
        followers: Names of the nodes of movement and arithmetic that run in eight bits, with the
            activations that these absorb.
        encodings: Tensor name to encoding, for every tensor carried in eight bits.
        carried: The tensors that are made in eight bits.
        boundaries: The fp32 tensors that are quantized for an int8 reader, in order.
        ranges: Tensor name to the range of its encoding, for all that have one.
    """

    groups: Mapping[str, ComputeGroup]
    followers: frozenset[str]
    encodings: Mapping[str, Encoding]
    carried: frozenset[str]
    boundaries: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]]


class Planner:
    """Plans configurations of one graph.

    Args:
        graph: The cleaned graph.
        grouping: Its fusion groups.
    """

    def __init__(self, graph: Graph, grouping: Grouping) -> None:
        self._graph = graph
        self._groups = grouping.compute
        members = {name for group in grouping.compute.values() for name in group.members}
        self._candidates = [
            node
            for node in graph.nodes.values()
            if node.name not in members and can_follow(graph, node)
        ]

    @property
    def observed(self) -> list[str]:
        """The tensors whose ranges any configuration may need, sorted."""
        found = {group.source for group in self._groups.values()}
        found |= {group.output for group in self._groups.values() if group.op == "Conv"}
        for node in self._candidates:
            if node.op_type in ARITHMETIC:
                found.add(made_by(self._graph, node)[0])
        return sorted(found)

    def plan(self, config: TuningConfig, statistics: Statistics) -> Plan:
        """Decide what runs in eight bits, and in which encodings."""
        active = {name: g for name, g in self._groups.items() if name not in config.fp32}
        produced = {group.output: group for group in active.values() if group.op == "Conv"}
        kept = self._following(active, set(produced))
        carried = set(produced)
        followers: set[str] = set()
        read = {group.source for group in active.values()}
        own: dict[str, ComputeGroup | None] = dict(produced)
        used = set(read)
        tied: dict[str, list[str]] = {}  # node of movement to the tensors that it ties
        clipped = {output for output, group in produced.items() if group.activation}
        for node in kept:
            data = data_inputs(node)
            read.update(data)
            if node.op_type in ARITHMETIC:
                output, members = made_by(self._graph, node)
                carried.add(output)
                followers.update(members)
                own[output] = None
                used.update(data)
                clipped.update([output] if len(members) > 1 else [])
            else:
                carried.update(node.output)
                followers.add(node.name)
                tied[node.name] = [*data, *node.output]
        boundaries = tuple(sorted(read - carried))
        own.update(dict.fromkeys(boundaries))
        classes = _Classes(tied)
        ranges = self._ranges(classes, own, used, config, statistics)
        if loose := self._loose(classes, ranges, tied, clipped):
            classes = _Classes(tied, loose=loose)
            ranges = self._ranges(classes, own, used, config, statistics)
        found = {name: ranges[classes.of(name)] for name in sorted({*carried, *read})}
        encodings = {name: _encoding(*one) for name, one in found.items()}
        return Plan(active, frozenset(followers), encodings, frozenset(carried), boundaries, found)

    def _ranges(
        self,
        classes: _Classes,
        own: Mapping[str, ComputeGroup | None],
        used: Collection[str],
        config: TuningConfig,
        statistics: Statistics,
    ) -> dict[str, tuple[float, float]]:
        """Return the range of every class, by the tensor that stands for it.

        Args:
            classes: The classes.
            own: Tensors whose own ranges count, and the groups that make them.
            used: Tensors that something is computed of.
            config: The configuration.
            statistics: The statistics.
        """
        ranges: dict[str, tuple[float, float]] = {}
        # Outliers of (what is close to) an output are the answer, so nothing is clipped there.
        computed = {classes.of(name) for name in used}
        for parts, whole in reversed(classes.loose):
            if classes.of(whole) in computed:
                computed.update(map(classes.of, parts))
        for name, group in own.items():
            root = classes.of(name)
            wanted = config.algorithm(group.anchor if group else None)
            _widen(ranges, root, statistics.range(name, wanted if root in computed else "minmax"))
        for _ in classes.loose:  # what one makes may be a part of another
            for parts, whole in classes.loose:
                for part in parts:
                    _widen(ranges, classes.of(whole), ranges[classes.of(part)])
        return ranges

    def _loose(
        self,
        classes: _Classes,
        ranges: Mapping[str, tuple[float, float]],
        tied: Mapping[str, Sequence[str]],
        clipped: Collection[str],
    ) -> frozenset[str]:
        """Return the concatenations of what is clipped at 0 with what is negative."""
        torn = {
            root for name in clipped if (root := classes.of(name)) in ranges and ranges[root][0] < 0
        }
        return frozenset(
            name
            for name, tensors in tied.items()
            if self._graph.nodes[name].op_type == "Concat" and classes.of(tensors[0]) in torn
        )

    def _following(self, active: Mapping[str, ComputeGroup], able: set[str]) -> list[Any]:
        """Return the nodes that read and make eight bits, and that some int8 op is behind."""
        found = []
        for node in self._candidates:
            if all(name in able for name in data_inputs(node)):
                found.append(node)
                able.update(self._made(node))
        wanted = {group.source for group in active.values()}
        kept = []
        for node in reversed(found):
            if node.op_type in SHRINKING or wanted.intersection(self._made(node)):
                kept.append(node)
                wanted.update(data_inputs(node))
        return kept[::-1]

    def _made(self, node: Any) -> list[str]:
        if node.op_type in ARITHMETIC:
            return [made_by(self._graph, node)[0]]
        return list(node.output)


def data_inputs(node: Any) -> list[str]:
    """Return the tensors that a node of `kernels.MOVEMENTS` or `ARITHMETIC` takes values from."""
    count = MOVEMENTS.get(node.op_type, None if node.op_type in ("Add", "Mul") else 1)
    return list(node.input[:count])


def can_follow(graph: Graph, node: Any) -> bool:
    """Tell whether a node has a kernel on codes that runs where its neighbours are in int8."""
    if not is_standard(node, *MOVEMENTS, *ARITHMETIC):
        return False
    if any(graph.is_constant(name) for name in data_inputs(node)) or "" in node.output:
        return False
    if node.op_type == "MaxPool":
        return len(node.output) == 1
    if node.op_type == "Resize":
        return bool(attribute(node, "mode", "nearest") == "nearest")
    return all(graph.is_float32(name) for name in data_inputs(node))


def _encoding(low: float, high: float) -> Encoding:
    return unsigned(high) if low >= 0 else asymmetric(low, high)


def _widen(ranges: dict[str, tuple[float, float]], name: str, other: tuple[float, float]) -> None:
    low, high = ranges.get(name, other)
    ranges[name] = min(low, other[0]), max(high, other[1])


class _Classes:
    """Tensors in sets that share an encoding.

    Args:
        tied: Node to the tensors that it ties, of which its output is the last.
        loose: The nodes that tie nothing.

    Attributes:
        loose: Inputs and output of each of these.
    """

    def __init__(self, tied: Mapping[str, list[str]], *, loose: Collection[str] = ()) -> None:
        self._parent: dict[str, str] = {}
        self.loose: list[tuple[list[str], str]] = []
        for name, tensors in tied.items():
            if name in loose:
                self.loose.append((tensors[:-1], tensors[-1]))
            else:
                self.tie(tensors)

    def of(self, name: str) -> str:
        """Return the tensor that stands for a tensor's set."""
        root = name
        while (above := self._parent.get(root, root)) != root:
            root = above
        self._parent[name] = root
        return root

    def tie(self, names: list[str]) -> None:
        """Put tensors into one set."""
        first = self.of(names[0])
        for name in names[1:]:
            self._parent[self.of(name)] = first
