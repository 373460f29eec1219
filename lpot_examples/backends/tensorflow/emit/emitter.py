"""Emission: an immutable configuration plus statistics gives a new graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lpot_examples.backends.tensorflow.control_flow import conditional_nodes
from lpot_examples.backends.tensorflow.emit.builder import Builder
from lpot_examples.backends.tensorflow.emit.compute import Lowering
from lpot_examples.backends.tensorflow.emit.movement import lower_movement
from lpot_examples.backends.tensorflow.emit.plan import Plan, Planner
from lpot_examples.backends.tensorflow.emit.weights import WeightCache
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.groups import Grouping
from lpot_examples.backends.tensorflow.shapes import Shapes
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, InstructionSet

_WITHOUT_VNNI = INSTRUCTION_SETS["avx2"]


@dataclass(frozen=True)
class Emitted:
    """An emitted graph and how it was decided.

    Attributes:
        graph_def: The int8 ``GraphDef``; the names of inputs and outputs are the original ones.
        plan: What runs in eight bits.
        weight_bits: Group name to weight bits.
        tag: The last part of the names of eight-bit nodes; see `Builder.name`.
    """

    graph_def: Any
    plan: Plan
    weight_bits: dict[str, int]
    tag: str


class Emitter:
    """Makes int8 graphs from one cleaned fp32 graph, which is never changed.

    Args:
        graph: The cleaned graph.
        grouping: Its fusion groups.
        shapes: Its static shapes.
        isa: The instruction set to emit for.
    """

    def __init__(
        self, graph: Graph, grouping: Grouping, shapes: Shapes, isa: InstructionSet
    ) -> None:
        self._graph = graph
        self._shapes = shapes
        self._weights = WeightCache(isa)
        groups = grouping.compute.values()
        self._planner = Planner(graph, groups, conditional_nodes(graph), shapes)

    def plan(self, config: TuningConfig, statistics: Statistics) -> Plan:
        """Decide what runs in eight bits, without building anything."""
        return self._planner.plan(config, statistics)

    def emit(self, config: TuningConfig, statistics: Statistics) -> Emitted:
        """Build the graph of a configuration."""
        plan = self.plan(config, statistics)
        builder = Builder(self._graph, plan)
        for tensor in plan.boundaries:
            builder.quantize(tensor)
        lowering = Lowering(builder, config, self._weights, statistics)
        for group in plan.groups.values():
            lowering.lower(group)
        for name in sorted(plan.movements):
            lower_movement(builder, name, self._shapes)
        builder.graph.remove_unreachable()
        bits = {
            anchor: self._weights.bits(group, plan.encodings[group.source], config)
            for anchor, group in plan.groups.items()
        }
        return Emitted(builder.graph.to_graph_def(), plan, bits, builder.tag)

    def fragile(
        self, config: TuningConfig, plan: Plan, isa: InstructionSet = _WITHOUT_VNNI
    ) -> frozenset[str]:
        """Return the groups of a plan whose kernels could saturate on an instruction set.

        Args:
            config: The configuration.
            plan: What was planned for it.
            isa: The instruction set that the model is run on; by default one without VNNI.
        """
        return frozenset(
            anchor
            for anchor, group in plan.groups.items()
            if self._weights.may_saturate(
                group, plan.encodings[group.source], config, plan.factors.get(group.source), isa
            )
        )
