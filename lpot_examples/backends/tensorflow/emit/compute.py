"""Lowering of convolutions and matrix products to TensorFlow's fused int8 kernels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.emit.builder import Builder
from lpot_examples.backends.tensorflow.emit.convolution import convolution_attrs
from lpot_examples.backends.tensorflow.emit.movement import clamp
from lpot_examples.backends.tensorflow.emit.weights import WeightCache
from lpot_examples.backends.tensorflow.graphdef import Array
from lpot_examples.backends.tensorflow.groups import ComputeGroup
from lpot_examples.backends.tensorflow.kernels import COMPUTE
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.graph import TuningConfig
from lpot_examples.quantize.encoding import Encoding
from lpot_examples.quantize.weights import QuantizedWeights


@dataclass(frozen=True)
class Lowering:
    """Lowers compute groups into a builder's graph.

    Attributes:
        builder: The graph under construction.
        config: The configuration being emitted.
        weights: Quantized weights, shared by all configurations.
        statistics: Calibration statistics.
    """

    builder: Builder
    config: TuningConfig
    weights: WeightCache
    statistics: Statistics

    def lower(self, group: ComputeGroup) -> None:
        """Add a group's int8 kernel and give its fp32 readers real values."""
        if group.op == "MatMul":
            self._matmul(group)
        else:
            self._convolution(group)

    def _convolution(self, group: ComputeGroup) -> None:
        plan, builder = self.builder.plan, self.builder
        output = plan.output(group)
        reads, makes = plan.encodings[group.source], plan.encodings[output]
        summand = group.summand if group.anchor in plan.sums else None
        quantized = self.weights.get(group, reads, self.config, plan.factors.get(group.source))
        bias = self._bias(group, quantized, reads)
        stretched = plan.factors.get(output)
        if stretched is not None:
            quantized = replace(quantized, scales=quantized.scales / stretched)
            bias = bias / stretched
        bias = bias + makes.offset
        inputs, types = self._operands(group, quantized, bias, reads)
        if summand is not None:
            adds = plan.encodings[summand]
            bias_without = bias - adds.offset
            inputs, types = self._operands(group, quantized, bias_without, reads)
            inputs.insert(3, self._summand(group, summand))
            types.insert(3, builder.quantized[adds.dtype])
            inputs += builder.bounds(adds)
            types += [types[-1]] * 2
        inputs += builder.bounds(makes)
        types += [types[-1]] * 2
        inputs += self._control(group)
        target = builder.name(output)
        activation = group.activation if output == group.output else None
        needs_clamp = self._clamps(activation, _widest(makes, stretched))
        kernel = f"{target}/kernel" if needs_clamp else target
        builder.graph.add(
            COMPUTE[group.op],
            kernel,
            inputs,
            **self._attrs(group, reads, makes, types, activation, summed=summand is not None),
        )
        if needs_clamp and activation is not None:
            self._clamp(kernel, target, _widest(makes, stretched), activation)
        builder.dequantize(output, output)

    def _bias(self, group: ComputeGroup, weights: QuantizedWeights, reads: Encoding) -> Array:
        """Return the float bias, corrected, with the zero point of the input taken out."""
        bias = np.zeros(group.channels) if group.bias is None else group.bias.astype(np.float64)
        observed = self.statistics.channels.get(group.source)
        if self.config.corrects(group.anchor) and observed is not None:
            factors = self.builder.plan.factors.get(group.source)
            bias = bias - self.weights.mean_shift(group, weights, observed.mean, factors)
        return bias - reads.offset * weights.channel_sums

    def _operands(
        self, group: ComputeGroup, weights: QuantizedWeights, bias: Array, reads: Encoding
    ) -> tuple[list[str], list[Any]]:
        tf = import_tensorflow()
        builder = self.builder
        prefix = builder.name(group.anchor)
        peak = (weights.scales.astype(np.float64) * 127).astype(np.float32)
        inputs = [
            self._input(group, reads),
            self.weights.constant(builder.graph, group, weights),
            builder.graph.add_constant(f"{prefix}/bias", bias.astype(np.float32)),
            *builder.bounds(reads),
            builder.graph.add_constant(f"{prefix}/weights_min", -peak),
            builder.graph.add_constant(f"{prefix}/weights_max", peak),
        ]
        return inputs, [builder.quantized[reads.dtype], tf.qint8] + [tf.float32] * 5

    def _input(self, group: ComputeGroup, reads: Encoding) -> str:
        codes = self.builder.codes(group.source)
        if not _pads_codes(group, reads):
            return codes
        assert group.static_pads is not None  # the planner chose another encoding otherwise
        pads = np.array(group.static_pads, np.int32).reshape(4, 2)
        channels = group.weights.shape[2]
        name = f"{self.builder.name(group.anchor)}/padded"
        return self.builder.with_channels(channels).pad(codes, name, pads, reads)

    def _summand(self, group: ComputeGroup, summand: str) -> str:
        """Return the summand's codes; the kernel overwrites them, so it may get a copy.

        A copy is not needed when every other reader is an ancestor of the kernel: it has then
        finished. Snapshot copies only if the buffer has another reader at run time.
        """
        builder = self.builder
        codes = builder.codes(summand)
        encoding = builder.plan.encodings[summand]
        quantized, plain = builder.quantized[encoding.dtype], builder.plain[encoding.dtype]
        prefix = f"{builder.name(group.anchor)}/summand"
        bits = builder.bitcast(codes, f"{prefix}/plain", quantized, plain)
        # TensorFlow merges equal nodes; two sums of one summand would then overwrite one copy, and
        # the process crashes. An attribute of its own makes each Snapshot unequal.
        unique = {"_summand_of": group.anchor}
        copy = builder.graph.add("Snapshot", f"{prefix}/copy", [bits], T=plain, **unique)
        return builder.bitcast(copy, prefix, plain, quantized)

    def _control(self, group: ComputeGroup) -> list[str]:
        names = {
            name
            for member in group.members
            for name in self.builder.original.nodes[member].input
            if name.startswith("^")
        }
        return sorted(names)

    def _clamps(self, activation: str | None, makes: Encoding) -> bool:
        """Tell whether saturation at the encoding's ends does not implement the activation."""
        if activation is None:
            return False
        below = makes.zero_point > 0
        above = activation == "Relu6" and makes.high > 6.0 + makes.scale / 2
        return below or above

    def _clamp(self, kernel: str, target: str, makes: Encoding, activation: str) -> None:
        builder = self.builder
        quantized, plain = builder.quantized[makes.dtype], builder.plain[makes.dtype]
        codes = builder.bitcast(kernel, f"{target}/plain", quantized, plain)
        clamped = clamp(builder, codes, f"{target}/clamp", makes, activation)
        builder.bitcast(clamped, target, plain, quantized)

    def _attrs(
        self,
        group: ComputeGroup,
        reads: Encoding,
        makes: Encoding,
        types: list[Any],
        activation: str | None,
        *,
        summed: bool,
    ) -> dict[str, Any]:
        node = self.builder.original.nodes[group.anchor]
        # For an unsigned result Relu is saturation at code 0, which the kernel does anyway.
        relu = summed or makes.dtype == "u8" or activation is not None
        padding, explicit = self._padding(group, reads, node)
        return convolution_attrs(
            self.builder,
            (reads, makes),
            types=types,
            fused=["BiasAdd", *(["Sum"] if summed else []), *(["Relu"] if relu else [])],
            strides=list(node.attr["strides"].list.i),
            dilations=list(node.attr["dilations"].list.i) or [1, 1, 1, 1],
            padding=padding,
            explicit_paddings=explicit,
        )

    def _padding(self, group: ComputeGroup, reads: Encoding, node: Any) -> tuple[str, list[int]]:
        if _pads_codes(group, reads):
            return "VALID", []
        if group.explicit_pads is not None:
            return "EXPLICIT", list(group.explicit_pads)
        return node.attr["padding"].s.decode(), []

    def _matmul(self, group: ComputeGroup) -> None:
        """Add a matrix product that gives real values: few of them, so fp32 costs nothing."""
        tf = import_tensorflow()
        builder = self.builder
        reads = builder.plan.encodings[group.source]
        factors = builder.plan.factors.get(group.source)
        quantized = self.weights.get(group, reads, self.config, factors)
        bias = self._bias(group, quantized, reads)
        inputs, types = self._operands(group, quantized, bias, reads)
        relu = ["Relu"] if group.activation == "Relu" else []
        relu6 = group.activation == "Relu6"
        builder.graph.add(
            COMPUTE["MatMul"],
            builder.name(group.output) if relu6 else group.output,
            inputs + self._control(group),
            Tdevice_inputs=[],
            Thost_inputs=types,
            Tdevice_outputs=[],
            Thost_outputs=[tf.float32],
            T1=builder.quantized[reads.dtype],
            T2=tf.qint8,
            Tbias=tf.float32,
            U=tf.float32,
            Tout=tf.float32,
            transpose_a=False,
            transpose_b=False,
            is_weight_const=True,
            is_bias_const=True,
            fused_ops=["BiasAdd", *relu, "Dequantize"],
            input_quant_mode="SCALED",
            output_quant_mode="SCALED",
        )
        if relu6:
            builder.graph.add("Relu6", group.output, [builder.name(group.output)], T=tf.float32)


def _widest(encoding: Encoding, factors: Array | None) -> Encoding:
    """Return the encoding as the widest channel of one group's output sees it."""
    if factors is None:
        return encoding
    return replace(encoding, scale=encoding.scale * float(factors.max()))


def _pads_codes(group: ComputeGroup, reads: Encoding) -> bool:
    """Tell whether padding is done in front of a kernel, which would pad wrongly.

    Kernels pad with code 0, which is not zero where there is a zero point. With TensorFlow 2.21
    oneDNN's AVX-512 kernels go wrong, too, on signed input padded at its sides alone, where each
    output channel reads one input channel.
    """
    if not group.zero_padded:
        return False
    pads = group.static_pads
    single = group.op == "DepthwiseConv2dNative" or group.weights.shape[2] == 1
    sides = single and reads.dtype == "s8" and pads is not None and not any(pads[2:4])
    return reads.zero_point != 0 or sides
