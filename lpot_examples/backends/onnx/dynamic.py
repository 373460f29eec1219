"""Dynamic emission: weights in eight bits, ranges of what they multiply taken at run time.

    x ─► MatMul ─► y      becomes

    x ─► DynamicQuantizeLinear ─► codes, scale, zero point
    codes ─► MatMulInteger(int8 weights) ─► Cast ─► Mul(scale · weights' scales) [─► Add bias] ─► y

which ONNX Runtime runs as one kernel. Gemm becomes the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from lpot_examples.backends.onnx import proto
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.groups import ComputeGroup, Grouping
from lpot_examples.backends.onnx.weights import WeightCache
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, InstructionSet

_WITHOUT_VNNI = INSTRUCTION_SETS["avx2"]


class DynamicEmitter:
    """Makes dynamically quantized networks from one cleaned fp32 network, never changed.

    Args:
        graph: The cleaned graph.
        grouping: Its fusion groups.
        isa: The instruction set to emit for.
    """

    def __init__(self, graph: Graph, grouping: Grouping, isa: InstructionSet) -> None:
        self._graph = graph
        self._groups = grouping.compute
        self._weights = WeightCache(isa)

    def active(self, config: TuningConfig) -> dict[str, ComputeGroup]:
        """Return the groups that run in int8."""
        return {name: one for name, one in self._groups.items() if name not in config.fp32}

    def bits(self, config: TuningConfig) -> dict[str, int]:
        """Return group name to weight bits."""
        return {name: self._weights.bits(one, config) for name, one in self.active(config).items()}

    def emit(self, config: TuningConfig) -> Any:
        """Build the network of a configuration; return its ``ModelProto``."""
        made = proto.copy_without_graph(self._graph.proto)
        active = self.active(config)
        quantized: dict[str, list[str]] = {}
        for name, node in self._graph.nodes.items():
            if name not in active:
                made.graph.node.append(node)
                continue
            group = active[name]
            if group.source not in quantized:
                quantized[group.source] = [
                    f"{group.source}/{part}" for part in ("codes", "scale", "zero")
                ]
                made.graph.node.append(
                    onnx.helper.make_node(
                        "DynamicQuantizeLinear",
                        [group.source],
                        quantized[group.source],
                        name=f"{group.source}/dynamic",
                    )
                )
            self._lower(made, node, group, config, quantized[group.source])
        read = {one for node in made.graph.node for one in proto.read_by(node)}
        read |= set(self._graph.outputs)
        made.graph.initializer.extend(
            one for one in self._graph.proto.graph.initializer if one.name in read
        )
        return made

    def fragile(self, config: TuningConfig, isa: InstructionSet = _WITHOUT_VNNI) -> frozenset[str]:
        """Return the groups whose kernels could saturate on an instruction set."""
        return frozenset(
            name
            for name, group in self.active(config).items()
            if self._weights.may_saturate(
                group, self._weights.get(group, config, scale=1.0, bias=None), isa
            )
        )

    def _lower(
        self, made: Any, node: Any, group: ComputeGroup, config: TuningConfig, inputs: list[str]
    ) -> None:
        """Add the nodes and weights of a group."""
        weights = self._weights.get(group, config, scale=1.0, bias=None)
        codes, scale, zero = inputs
        matrix = weights.codes.T if group.channel_axis == 0 else weights.codes
        name, output = group.anchor, node.output[0]
        constants = {
            "weights": matrix,
            "weights_scale": weights.scales,
            "weights_zero": np.zeros(len(weights.scales), np.int8),
        }
        if group.bias is not None:
            constants["bias"] = group.bias
        for part, values in constants.items():
            made.graph.initializer.append(proto.tensor(f"{name}/{part}", values))
        scaled = output if group.bias is None else f"{name}/scaled"
        made.graph.node.extend(
            [
                proto.node(
                    "MatMulInteger",
                    [codes, f"{name}/weights", zero, f"{name}/weights_zero"],
                    f"{name}/sums",
                ),
                proto.node("Cast", [f"{name}/sums"], f"{name}/real", to=1),
                proto.node("Mul", [scale, f"{name}/weights_scale"], f"{name}/scale"),
                proto.node(
                    "Mul", [f"{name}/real", f"{name}/scale"], scaled, name=f"{name}/scaling"
                ),
            ]
        )
        if group.bias is not None:
            made.graph.node.append(
                proto.node("Add", [scaled, f"{name}/bias"], output, name=f"{name}/biased")
            )
