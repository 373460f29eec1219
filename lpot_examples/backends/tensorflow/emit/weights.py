"""Weights quantized once and shared by every configuration."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.graphdef import Array, Graph, make_constant
from lpot_examples.backends.tensorflow.groups import ComputeGroup
from lpot_examples.graph import TuningConfig
from lpot_examples.host import InstructionSet
from lpot_examples.quantize.encoding import Encoding
from lpot_examples.quantize.weights import QuantizedWeights, pair_sums, quantize_weights

# Kernels turn the bias into int32 codes of scale s_in·s_w; this leaves room for the products.
_MAX_BIAS_CODE = float(1 << 29)

# Greatest sum of two weights whose products with 255 fit 16 bits.
MAX_PAIR = 128


class WeightCache:
    """Quantized weights by group, bits and algorithm, and the Const nodes that hold them.

    Args:
        isa: The instruction set the model is for; it decides between 7 and 8 bits.
    """

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._quantized: dict[tuple[Any, ...], QuantizedWeights] = {}
        # The reference to the codes keeps their id from being used again, here and below.
        self._shifts: dict[tuple[Any, ...], tuple[Array, Array]] = {}
        self._nodes: dict[int, tuple[Array, str, Any]] = {}

    def bits(self, group: ComputeGroup, reads: Encoding, config: TuningConfig) -> int:
        """Return how many bits a group's weights have at most.

        Where the instruction set's table says seven, so many are safe for any weights. Eight do
        where it is known which weights meet in a pair; see `_pair_limit`.
        """
        exact = self._isa.weights(_kernel(group), reads.dtype).bits
        safe = 8 if _known_pairs(group, reads) else exact
        return min(safe, config.weight_bits.get(group.anchor, 8))

    def _pair_limit(self, group: ComputeGroup, reads: Encoding) -> int | None:
        """Return the greatest sum of two neighbouring weights, or None for any.

        Where products of unsigned inputs and signed weights are added in pairs in 16 bits, a sum
        of 128 is the greatest that cannot saturate: 255·128 = 32,640. Seven bits for all weights
        would be enough for that, but few channels have two large weights side by side. A truly
        depthwise kernel has no pairs to add.
        """
        paired = reads.dtype == "u8" and group.op != "DepthwiseConv2dNative"
        return MAX_PAIR if paired and self._isa.weights(_kernel(group), "u8").bits < 8 else None

    def may_saturate(
        self,
        group: ComputeGroup,
        reads: Encoding,
        config: TuningConfig,
        factors: Array | None,
        isa: InstructionSet,
    ) -> bool:
        """Tell whether a group's kernel could saturate, or round again, on an instruction set."""
        kernel = _kernel(group)
        if isa.weights(kernel, reads.dtype).bits == 8:
            return False
        if reads.dtype == "u8" and group.op == "DepthwiseConv2dNative":
            return self.bits(group, reads, config) == 8
        codes = self.get(group, reads, config, factors).codes.astype(np.int32)
        if _one_input_channel(group):
            return int(np.abs(codes).max()) > 63
        if reads.dtype == "s8":
            # Halving kernels saturate no more than with seven bits, but round once more.
            return bool(np.any(codes % 2)) and int(np.abs(codes).max()) > 63
        return int(pair_sums(codes.reshape(-1, codes.shape[-1]).T).max()) > MAX_PAIR

    def get(
        self,
        group: ComputeGroup,
        reads: Encoding,
        config: TuningConfig,
        factors: Array | None = None,
    ) -> QuantizedWeights:
        """Return the group's quantized weights.

        Args:
            group: The group.
            reads: The encoding of its input.
            config: The configuration.
            factors: Channel factors of its input, float32 [input channels], or None.
        """
        bits = self.bits(group, reads, config)
        per_channel = group.anchor not in config.per_tensor
        stretched = factors.tobytes() if factors is not None else b""
        halved = self._isa.weights(_kernel(group), reads.dtype).halved
        pairs = self._pair_limit(group, reads)
        key = (group.anchor, bits, pairs, config.weight_algorithm, per_channel, halved, stretched)
        if key not in self._quantized:
            self._quantized[key] = self._quantize(
                _with_factors(group, factors), bits, pairs, config, per_channel, halved, 0.0
            )
        found = self._quantized[key]
        if group.bias is None:
            return found
        floor = np.abs(group.bias).astype(np.float64) / (reads.scale * _MAX_BIAS_CODE)
        if np.all(found.scales >= floor):
            return found
        raised = (*key, floor.tobytes())
        if raised not in self._quantized:
            self._quantized[raised] = self._quantize(
                _with_factors(group, factors), bits, pairs, config, per_channel, halved, floor
            )
        return self._quantized[raised]

    def _quantize(
        self,
        group: ComputeGroup,
        bits: int,
        pairs: int | None,
        config: TuningConfig,
        per_channel: bool,
        halved: bool,
        floor: Any,
    ) -> QuantizedWeights:
        found = quantize_weights(
            group.weights,
            group.channel_axes,
            bits=bits,
            algorithm=config.weight_algorithm,
            per_channel=per_channel,
            floor=floor,
            pair_limit=pairs,
        )
        if not halved:
            return found
        # Even codes: what the kernel halves is then exactly what was chosen here.
        return QuantizedWeights(
            found.codes * np.int8(2), found.scales / np.float32(2), found.channel_sums
        )

    def mean_shift(
        self, group: ComputeGroup, weights: QuantizedWeights, mean: Array, factors: Array | None
    ) -> Array:
        """Return by how much rounding the weights moves the mean of each output channel.

        Σ (W̃ − W)·E[x] over a channel's weights: the bias correction of Nagel et al., "Data-Free
        Quantization Through Weight Equalization and Bias Correction" (2019), with E[x] measured.
        A tap that reads zero padding at some positions counts for the others; on the maps of a
        few pixels that detectors end in, that is most of a window.

        Args:
            group: The group, with its original weights.
            weights: The quantized weights.
            mean: Mean of each input channel, float64 [input channels].
            factors: Channel factors of the input, or None.

        Returns:
            float64 [channels].
        """
        stretched = factors.tobytes() if factors is not None else b""
        key = (id(weights.codes), mean.tobytes(), stretched)
        if key not in self._shifts:
            error = self._error(group, weights, factors)
            mean = mean if factors is None else mean / factors
            depthwise = group.op == "DepthwiseConv2dNative"
            shift = (error * mean[:, None]).ravel() if depthwise else mean @ error
            self._shifts[key] = (weights.codes, shift)
        return self._shifts[key][1]

    def _error(
        self, group: ComputeGroup, weights: QuantizedWeights, factors: Array | None
    ) -> Array:
        """Return Σ (W̃ − W)·share over the window, [input channels, outputs or multiplier]."""
        exact = _with_factors(group, factors)
        scales = weights.scales.astype(np.float64)
        if group.op == "DepthwiseConv2dNative":
            scales = scales.reshape(group.weights.shape[2:])
        error = weights.codes * scales - exact.weights
        if group.weights.ndim == 4:
            error = np.tensordot(group.tap_shares, error, axes=2)
        return np.asarray(error)

    def constant(self, graph: Graph, group: ComputeGroup, weights: QuantizedWeights) -> str:
        """Add the Const of quantized weights to a graph; equal weights share one node."""
        import tensorflow as tf

        key = id(weights.codes)
        if key not in self._nodes:
            digest = hashlib.sha256(weights.codes.tobytes()).hexdigest()[:12]
            name = f"int8_weights/{'x'.join(map(str, weights.codes.shape))}_{digest}"
            node = make_constant(name, weights.codes, dtype=tf.qint8)
            self._nodes[key] = (weights.codes, name, node)
        _, name, node = self._nodes[key]
        if name not in graph.nodes:
            graph.insert(node)
        return name


def _kernel(group: ComputeGroup) -> str:
    """Return what a group is to oneDNN; see `host.ExactWeights`."""
    if group.op == "MatMul":
        return "matmul"
    depthwise = group.op == "DepthwiseConv2dNative" and not _odd_depthwise(group)
    return "depthwise" if depthwise else "conv"


def _known_pairs(group: ComputeGroup, reads: Encoding) -> bool:
    """Tell whether it is known which weights a kernel multiplies in pairs: neighbours."""
    alone = group.op == "DepthwiseConv2dNative" or _one_input_channel(group)
    return reads.dtype == "u8" and not alone


def _odd_depthwise(group: ComputeGroup) -> bool:
    """Tell whether a depthwise convolution is none to oneDNN.

    It is one only where each output channel reads one input channel of several; others run as
    grouped or ordinary convolutions.
    """
    depthwise = group.op == "DepthwiseConv2dNative"
    return depthwise and not (group.weights.shape[2] > 1 and group.weights.shape[3] == 1)


def _one_input_channel(group: ComputeGroup) -> bool:
    """Tell whether a convolution has one input channel.

    Its weights meet in any order: AVX-512 kernels pair rows of windows.
    """
    return group.op == "Conv2D" and group.weights.shape[2] == 1


def _with_factors(group: ComputeGroup, factors: Array | None) -> ComputeGroup:
    """Multiply a group's weights by its input's channel factors, if it has any."""
    if factors is None:
        return group
    shape = [1] * group.weights.ndim
    shape[0 if group.op == "MatMul" else 2] = -1
    return replace(group, weights=group.weights * factors.reshape(shape))
