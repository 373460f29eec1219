"""Which tensors are carried in eight bits under a configuration, and in which encoding.

Tensors tied by data movement (a concatenation's parts, a pool's input and output) must share one
encoding: they form a class. A class's encoding follows from its range and from its readers:

* no negative values: unsigned, code 0 is 0.0;
* negative values, readers that add no zero padding: unsigned with a zero point. The producer adds
  the offset to its bias, a reader takes it out of its own bias;
* negative values and a zero-padding reader: signed, because kernels pad with code 0. Where a
  residual sum needs an unsigned class (TensorFlow's kernel aborts on signed summands), the reader
  gets explicit padding with the zero point instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.emit.classes import Classes, Traits, collect_traits
from lpot_examples.backends.tensorflow.emit.factors import Factors, Tracker, propagate, stretch
from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name
from lpot_examples.backends.tensorflow.groups import ComputeGroup
from lpot_examples.backends.tensorflow.kernels import MOVEMENTS, SPLITS, Carrier
from lpot_examples.backends.tensorflow.shapes import Shapes
from lpot_examples.backends.tensorflow.sources import Sources, movement_inputs
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.graph import TuningConfig
from lpot_examples.quantize.encoding import Encoding

# Depthwise readers lose nothing by stretched channels; less than 1 leaves the channels room for
# values that the calibration data did not show.
_DEPTHWISE_STRENGTH = 0.75


@dataclass(frozen=True)
class Plan:
    """The outcome of planning.

    Attributes:
        groups: Anchor name to group, for the groups that run in int8.
        sums: Anchors whose residual addition runs inside the kernel.
        movements: Names of the movement nodes that run in eight bits.
        encodings: Tensor name to encoding, for every tensor carried in eight bits.
        boundaries: fp32 tensors that are quantized for an int8 reader, sorted.
        factors: Tensor name to channel factors, for tensors whose factors are not all 1.
    """

    groups: Mapping[str, ComputeGroup]
    sums: frozenset[str]
    movements: frozenset[str]
    encodings: Mapping[str, Encoding]
    boundaries: tuple[str, ...]
    factors: Mapping[str, Factors] = field(default_factory=dict)

    def output(self, group: ComputeGroup) -> str:
        """Return the tensor that a group's kernel makes."""
        fused = group.sum_node is None or group.anchor in self.sums
        return group.output if fused else group.linear


class Planner:
    """Plans configurations of one graph.

    Args:
        graph: The cleaned graph; not changed.
        groups: The groups that can run in int8.
        inside: Nodes inside control flow, which stay as they are.
        shapes: Static shapes of the graph.
    """

    def __init__(
        self,
        graph: Graph,
        groups: Iterable[ComputeGroup],
        inside: Mapping[str, str],
        shapes: Shapes,
    ) -> None:
        self._graph = graph
        self._tracker = Tracker(graph, shapes)
        self._groups = list(groups)
        self._sources = Sources(graph)
        self._order = graph.topological()
        self._eligible = {
            node.name
            for node in graph
            if node.op in MOVEMENTS
            and node.name not in inside
            and node.name not in graph.inputs
            and _movable(graph, node, shapes)
        }
        self._outputs = {name: _output_tensors(graph, name) for name in self._eligible}

    def plan(self, config: TuningConfig, statistics: Statistics) -> Plan:
        """Decide precisions of movement nodes, and encodings."""
        active = {g.anchor: g for g in self._groups if g.anchor not in config.fp32}
        sums = {anchor for anchor, g in active.items() if g.sum_node is not None}
        while True:
            plan, blocked = self._attempt(active, sums, config, statistics)
            if not blocked:
                return plan
            sums -= blocked

    def _attempt(
        self,
        active: dict[str, ComputeGroup],
        sums: set[str],
        config: TuningConfig,
        statistics: Statistics,
    ) -> tuple[Plan, set[str]]:
        produced = {_made(g, sums): g for g in active.values() if g.op != "MatMul"}
        movements, carried = self._moving(active.values(), sums, set(produced))
        read = {g.source for g in active.values()}
        read |= {g.summand for a, g in active.items() if a in sums and g.summand is not None}
        read |= {name for node in movements for name in movement_inputs(self._graph, node)}
        boundaries = tuple(sorted(read - carried))
        classes = Classes(carried | read)
        for node in movements:
            classes.tie([*movement_inputs(self._graph, node), *self._outputs[node]])
        traits = collect_traits(classes, active, sums, produced)
        for name in (*produced, *boundaries):
            trait = traits[classes.of(name)]
            # Outliers of (what is close to) an output are the answer, so nothing is clipped there.
            group = produced.get(name)
            algorithm = config.algorithm(group.anchor if group else None)
            found = self._range(name, group, algorithm if trait.read else "minmax", statistics)
            trait.extend(*found)
        blocked = {
            anchor
            for trait in traits.values()
            if trait.low < 0 and trait.unknown_pads
            for anchor in trait.summing
        }
        shared = {root: trait.encoding() for root, trait in traits.items()}
        encodings = {name: shared[classes.of(name)] for name in classes.names}
        factors = self._factors(
            classes, traits, movements, produced, boundaries, config, statistics
        )
        plan = Plan(active, frozenset(sums), frozenset(movements), encodings, boundaries, factors)
        return plan, blocked

    def _factors(
        self,
        classes: Classes,
        traits: Mapping[str, Traits],
        movements: set[str],
        produced: Mapping[str, ComputeGroup],
        boundaries: tuple[str, ...],
        config: TuningConfig,
        statistics: Statistics,
    ) -> dict[str, Factors]:
        """Return the channel factors of the tensors whose class can have them."""
        if config.equalization == 0:
            return {}
        ordered = [name for name in self._order if name in movements]
        # A class that nothing reads is (close to) an output, whose channels may be quiet on the
        # calibration data and loud later: a class score, for one.
        fixed = {root for root, trait in traits.items() if trait.summing or not trait.read}
        for name in ordered:
            if not self._tracker.trackable(name):
                fixed.add(classes.of(movement_inputs(self._graph, name)[0]))
        fixed |= {classes.of(n) for n in produced if n not in statistics.channels}
        fixed |= {classes.of(n) for n in boundaries if self._tracker.channels(n) is None}
        sources: dict[str, Factors] = {}
        for name in (*produced, *boundaries):
            if classes.of(name) in fixed:
                continue
            trait, group = traits[classes.of(name)], produced.get(name)
            if group is None and not self._stretchable(name, statistics):
                sources[name] = np.ones(self._tracker.channels(name) or 0, np.float32)
                continue
            strength = config.equalization
            if trait.depthwise_only:
                strength = max(strength, _DEPTHWISE_STRENGTH)
            sources[name] = self._stretched(name, group, trait, strength, statistics)
        free = [
            name
            for name in ordered
            if classes.of(movement_inputs(self._graph, name)[0]) not in fixed
        ]
        factors = propagate(self._tracker, free, self._graph, sources)
        return {name: f for name, f in factors.items() if np.any(f != 1)}

    def _stretchable(self, boundary: str, statistics: Statistics) -> bool:
        """Tell whether an fp32 tensor is worth a multiplication in front of its quantization.

        What fp32 ops between int8 ones make is; the few channels of the network's input are not.
        """
        made = self._graph.nodes[split_name(boundary)[0]]
        return boundary in statistics.channels and made.op not in ("Placeholder", "Const")

    def _stretched(
        self,
        name: str,
        group: ComputeGroup | None,
        trait: Traits,
        strength: float,
        statistics: Statistics,
    ) -> Factors:
        found = statistics.channels[name]
        # A clipping algorithm's range holds for the channels as well.
        low = np.maximum(found.minimum, trait.low)
        high = np.minimum(found.maximum, trait.high)
        factors = stretch((low, high), (trait.low, trait.high), strength)
        encoding = trait.encoding()
        if (
            group is not None
            and group.activation == "Relu6"
            and encoding.high > 6 + encoding.scale / 2
        ):
            # Saturation then clips at 6 at the latest, as the activation must: a clamp behind the
            # kernel would clip quiet channels, whose code of 6 is greater, too early.
            factors = np.minimum(factors, np.float32(6 / encoding.high))
        return factors

    def _moving(
        self, active: Iterable[ComputeGroup], sums: set[str], carried: set[str]
    ) -> tuple[set[str], set[str]]:
        """Return the movement nodes that run in eight bits, and every tensor so carried."""
        wanted = {group.source for group in active}
        wanted |= {g.summand for g in active if g.anchor in sums and g.summand is not None}
        for name in reversed(self._order):
            if name in self._eligible and any(t in wanted for t in self._outputs[name]):
                wanted.update(movement_inputs(self._graph, name))
        movements: set[str] = set()
        for name in self._order:
            if name not in self._eligible:
                continue
            inputs = [source in carried for source in movement_inputs(self._graph, name)]
            leads_to_int8 = any(t in wanted for t in self._outputs[name])
            shrinks = MOVEMENTS[self._graph.nodes[name].op].shrinks and all(inputs)
            if any(inputs) and (leads_to_int8 or shrinks):
                movements.add(name)
                carried.update(self._outputs[name])
        return movements, carried

    def _range(
        self,
        tensor: str,
        producer: ComputeGroup | None,
        algorithm: str,
        statistics: Statistics,
    ) -> tuple[float, float]:
        names = [tensor] if producer else sorted(self._sources.of(tensor))
        ranges = [statistics.range(name, algorithm) for name in names]
        return min(low for low, _ in ranges), max(high for _, high in ranges)


def _made(group: ComputeGroup, sums: set[str]) -> str:
    return group.output if group.sum_node is None or group.anchor in sums else group.linear


def _output_tensors(graph: Graph, name: str) -> list[str]:
    node = graph.nodes[name]
    count = int(node.attr["num_split"].i) if node.op in SPLITS else 1
    return [tensor_name(name, port) for port in range(count)]


def _movable(graph: Graph, node: Any, shapes: Shapes) -> bool:
    """Tell whether a movement node is of a form that can run in eight bits."""
    from tensorflow.core.framework import types_pb2

    movement = MOVEMENTS[node.op]
    if node.attr[movement.type_attr].type != types_pb2.DT_FLOAT:
        return False
    if node.op in SPLITS and node.name in graph.output_nodes:
        return False
    if movement.carrier is Carrier.LEAKY:
        shape = shapes.of(tensor_name(*graph.data_inputs(node)[0]))
        known = shape is not None and len(shape) == 4 and shape[-1] is not None
        return known and 0 <= node.attr["alpha"].f <= 1
    if movement.carrier is Carrier.POOL:
        window = list(node.attr["ksize"].list.i) + list(node.attr["strides"].list.i)
        plain = (
            node.attr["data_format"].s in (b"", b"NHWC") and node.attr["padding"].s != b"EXPLICIT"
        )
        return plain and all(window[index] == 1 for index in (0, 3, 4, 7))
    return not (node.op == "Pad" and graph.constant(node.input[1]) is None)
