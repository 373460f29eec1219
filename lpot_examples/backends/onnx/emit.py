"""Static emission: an immutable configuration plus statistics gives a new QDQ network.

    x ─► Conv ─► Relu ─► y      becomes

    x ─► QuantizeLinear ─► DequantizeLinear ─┐
    int8 weights ────────► DequantizeLinear ─┼─► Conv ─► Relu ─► QuantizeLinear ─► codes
    int32 bias ──────────► DequantizeLinear ─┘                                     │
                                                   y ◄─ DequantizeLinear ◄─────────┘

which ONNX Runtime runs as one kernel on codes. All fp32 names stay what they were, for readers and
outputs. Movement between int8 ops shares its scale on both sides, so that it runs on codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lpot_examples.backends.onnx import proto
from lpot_examples.backends.onnx.channels import Channels, follow_channels
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.groups import ComputeGroup, Grouping
from lpot_examples.backends.onnx.plan import Plan, Planner
from lpot_examples.backends.onnx.proto import Array
from lpot_examples.backends.onnx.stretch import Factors, find_factors
from lpot_examples.backends.onnx.weights import WeightCache
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, InstructionSet
from lpot_examples.quantize.weights import QuantizedWeights

_WITHOUT_VNNI = INSTRUCTION_SETS["avx2"]


@dataclass(frozen=True)
class Emitted:
    """An emitted network and how it was decided.

    Attributes:
        proto: The ``ModelProto``; the names of inputs and outputs are the original ones.
        plan: What runs in eight bits.
        weight_bits: Group name to weight bits.
    """

    proto: Any
    plan: Plan
    weight_bits: dict[str, int]


class Emitter:
    """Makes QDQ networks from one cleaned fp32 network, which is never changed.

    Args:
        graph: The cleaned graph.
        grouping: Its fusion groups.
        isa: The instruction set to emit for.
    """

    def __init__(self, graph: Graph, grouping: Grouping, isa: InstructionSet) -> None:
        self._graph = graph
        self._planner = Planner(graph, grouping)
        self._weights = WeightCache(isa)
        self._groups = grouping.compute

    @property
    def observed(self) -> list[str]:
        """The tensors whose statistics `emit` may ask for, sorted."""
        return self._planner.observed

    def emit(self, config: TuningConfig, statistics: Statistics) -> Emitted:
        """Build the network of a configuration."""
        plan = self._planner.plan(config, statistics)
        factors = self._factors(plan, config, statistics)
        builder = _Builder(self._graph, plan)
        for group in plan.groups.values():
            weights, bias = self._lowered(group, plan, factors, config, statistics)
            builder.lower(group, weights, bias)
        for name in sorted(factors.touched - plan.groups.keys()):
            group = self._groups[name]
            builder.replace(group, factors.weights(group), factors.bias(group))
        bits = {name: self._weights.bits(group, config) for name, group in plan.groups.items()}
        return Emitted(builder.finish(), plan, bits)

    def fragile(
        self,
        config: TuningConfig,
        statistics: Statistics,
        isa: InstructionSet = _WITHOUT_VNNI,
    ) -> frozenset[str]:
        """Return the groups whose kernels could saturate on an instruction set."""
        plan = self._planner.plan(config, statistics)
        factors = self._factors(plan, config, statistics)
        return frozenset(
            name
            for name, group in plan.groups.items()
            if self._weights.may_saturate(
                group, self._lowered(group, plan, factors, config, statistics)[0], isa
            )
        )

    @cached_property
    def _channels(self) -> Channels:
        return follow_channels(self._graph, self._groups)

    def _factors(self, plan: Plan, config: TuningConfig, statistics: Statistics) -> Factors:
        if config.equalization == 0:
            return Factors()
        strength = config.equalization
        return find_factors(plan, self._channels, self._groups, statistics, strength=strength)

    def _lowered(
        self,
        group: ComputeGroup,
        plan: Plan,
        factors: Factors,
        config: TuningConfig,
        statistics: Statistics,
    ) -> tuple[QuantizedWeights, Array | None]:
        """Return a group's weights and the bias that goes with them, float64 or None."""
        scale = plan.encodings[group.source].scale
        exact, bias = factors.weights(group), factors.bias(group)
        weights = self._weights.get(group, config, scale=scale, bias=bias, weights=exact)
        known = statistics.channels.get(group.source)
        if group.op == "MatMul" or known is None or not config.corrects(group.anchor):
            return weights, bias
        if len(known.mean) != _input_channels(group):
            return weights, bias
        mean = known.mean / factors.read.get(group.anchor, 1.0)
        shift = self._weights.mean_shift(group, exact, weights, mean)
        return weights, (0.0 if bias is None else bias.astype(np.float64)) - shift


class _Builder:
    """A new network in the making."""

    def __init__(self, graph: Graph, plan: Plan) -> None:
        self._graph = graph
        self._plan = plan
        self._nodes = {name: proto.copy_of_node(node) for name, node in graph.nodes.items()}
        self._constants: dict[str, Any] = {}
        self._before: dict[str, list[Any]] = {}
        self._taken = set(graph.names)
        self._scales: dict[tuple[float, int], tuple[str, str]] = {}
        self._read_as = {name: self._name(name, "int8") for name in plan.boundaries}
        for name in plan.followers:
            node = self._nodes[name]
            for index, tensor in enumerate(node.input):
                node.input[index] = self._read_as.get(tensor, tensor)

    def lower(self, group: ComputeGroup, weights: QuantizedWeights, bias: Array | None) -> None:
        """Let a group read codes of its input, weights and bias."""
        node = self._nodes[group.anchor]
        encoding = self._plan.encodings[group.source]
        scales = weights.scales
        codes = self._constant(f"{group.anchor}/weights", weights.codes)
        scale = self._constant(f"{group.anchor}/weights_scale", scales)
        zero = self._constant(f"{group.anchor}/weights_zero", np.zeros(len(scales), np.int8))
        node.input[0] = self._read_as.get(group.source, group.source)
        node.input[1] = self._dequantize(
            group.anchor, [codes, scale, zero], "weights", axis=group.channel_axis
        )
        if bias is None:
            return
        steps = np.float64(np.float32(encoding.scale)) * scales.astype(np.float64)
        limit = float(np.iinfo(np.int32).max)
        rounded = np.clip(np.rint(bias / steps), -limit, limit).astype(np.int32)
        codes = self._constant(f"{group.anchor}/bias", rounded)
        scale = self._constant(f"{group.anchor}/bias_scale", steps.astype(np.float32))
        zero = self._constant(f"{group.anchor}/bias_zero", np.zeros(len(scales), np.int32))
        name = self._dequantize(group.anchor, [codes, scale, zero], "bias", axis=0)
        if len(node.input) > 2:
            node.input[2] = name
        else:
            node.input.append(name)

    def replace(self, group: ComputeGroup, weights: Array, bias: Array | None) -> None:
        """Give a group that stays fp32 other weights."""
        node = self._nodes[group.anchor]
        node.input[1] = self._constant(f"{group.anchor}/weights", weights.astype(np.float32))
        if bias is not None:
            node.input[2] = self._constant(f"{group.anchor}/bias", bias.astype(np.float32))

    def finish(self) -> Any:
        """Return the network."""
        made = proto.copy_without_graph(self._graph.proto)
        nodes = made.graph.node
        for name in self._graph.inputs:
            nodes.extend(self._boundary(name))
        for name, node in self._nodes.items():
            behind = []
            for index, tensor in enumerate(node.output):
                if tensor in self._plan.carried:
                    real = self._name(tensor, "real")
                    node.output[index] = real
                    behind += self._pair(real, tensor, original=tensor)
                behind += self._boundary(tensor)
            nodes.extend(self._before.get(name, ()))
            nodes.append(node)
            nodes.extend(behind)
        read = {name for node in nodes for name in proto.read_by(node)} | set(self._graph.outputs)
        old = (one for one in self._graph.proto.graph.initializer if one.name in read)
        made.graph.initializer.extend([*old, *self._constants.values()])
        return made

    def _boundary(self, tensor: str) -> list[Any]:
        """Return what turns an fp32 tensor into codes, where an int8 op reads it.

        ONNX Runtime moves a QuantizeLinear to the front of a MaxPool, whose kernel on codes takes
        many times what that on reals does. So a Clip stands between, which changes no code.
        """
        if tensor not in self._read_as:
            return []
        maker, made = self._graph.maker(tensor), self._read_as[tensor]
        if maker is None or maker.op_type != "MaxPool":
            return self._pair(tensor, made, original=tensor)
        encoding = self._plan.encodings[tensor]
        # Inside the range, or the runtime drops it; what it clips has the last code all the same.
        ends = (np.array([0.0, 254.75]) - encoding.zero_point) * encoding.scale
        bounds = [self._constant(f"{tensor}/bound", np.float32(end)) for end in ends]
        clipped = self._name(tensor, "clipped")
        clip = proto.node("Clip", [tensor, *bounds], clipped)
        return [clip, *self._pair(clipped, made, original=tensor)]

    def _pair(self, given: str, made: str, *, original: str) -> list[Any]:
        """Return QuantizeLinear and DequantizeLinear between two tensors."""
        encoding = self._plan.encodings[original]
        scale, zero = self._scale(encoding.scale, encoding.zero_point)
        codes = self._name(original, "codes")
        return [
            proto.node("QuantizeLinear", [given, scale, zero], codes),
            proto.node(
                "DequantizeLinear", [codes, scale, zero], made, name=self._name(original, "again")
            ),
        ]

    def _scale(self, scale: float, zero: int) -> tuple[str, str]:
        """Return the names of a scale and a zero point; equal ones are stored once."""
        key = (scale, zero)
        if key not in self._scales:
            number = len(self._scales)
            self._scales[key] = (
                self._constant(f"scale/{number}", np.float32(scale)),
                self._constant(f"zero/{number}", np.uint8(zero)),
            )
        return self._scales[key]

    def _dequantize(self, group: str, inputs: list[str], what: str, *, axis: int) -> str:
        name = self._name(f"{group}/{what}", "real")
        node = proto.node("DequantizeLinear", inputs, name, axis=axis)
        self._before.setdefault(group, []).append(node)
        return name

    def _constant(self, wanted: str, values: Any) -> str:
        name = self._name(wanted, "int8")
        self._constants[name] = proto.tensor(name, values)
        return name

    def _name(self, tensor: str, what: str) -> str:
        """Return a name that no tensor has yet."""
        name, count = f"{tensor}/{what}", 1
        while name in self._taken:
            count += 1
            name = f"{tensor}/{what}{count}"
        self._taken.add(name)
        return name


def _input_channels(group: ComputeGroup) -> int:
    if group.op == "Conv":
        return int(group.weights.shape[1]) * group.groups
    return int(group.weights.shape[1 - group.channel_axis])
