"""Weights quantized once and shared by every configuration."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.graphdef import Array, Graph, make_constant
from lpot_examples.backends.tensorflow.groups import ComputeGroup
from lpot_examples.backends.tensorflow.kernels import PAIRLESS
from lpot_examples.graph import TuningConfig
from lpot_examples.host import InstructionSet
from lpot_examples.quantize.encoding import Encoding
from lpot_examples.quantize.weights import QuantizedWeights, quantize_weights

# Kernels turn the bias into int32 codes of scale s_in·s_w; this leaves room for the products.
_MAX_BIAS_CODE = float(1 << 29)


class WeightCache:
    """Quantized weights by group, bits and algorithm, and the Const nodes that hold them.

    Args:
        isa: The instruction set the model is for; it decides between 7 and 8 bits.
    """

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._quantized: dict[tuple[Any, ...], QuantizedWeights] = {}
        self._nodes: dict[int, tuple[Array, str, Any]] = {}

    def bits(self, group: ComputeGroup, reads: Encoding, config: TuningConfig) -> int:
        """Return how many bits a group's weights have.

        Where products of unsigned inputs and signed weights saturate in 16 bits, seven bits keep
        every pair sum below 2^15: 2·255·63 = 32,130. Depthwise kernels multiply in 32 bits.
        """
        pairs = reads.dtype == "u8" and group.op not in PAIRLESS
        safe = 7 if pairs and self._isa.u8s8_saturates else 8
        return min(safe, config.weight_bits.get(group.anchor, 8))

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
        key = (group.anchor, bits, config.weight_algorithm, per_channel, stretched)
        if factors is not None:
            group = _with_factors(group, factors)
        if key not in self._quantized:
            self._quantized[key] = self._quantize(group, bits, config, per_channel, 0.0)
        found = self._quantized[key]
        if group.bias is None:
            return found
        floor = np.abs(group.bias).astype(np.float64) / (reads.scale * _MAX_BIAS_CODE)
        if np.all(found.scales >= floor):
            return found
        return self._quantize(group, bits, config, per_channel, floor)

    def _quantize(
        self, group: ComputeGroup, bits: int, config: TuningConfig, per_channel: bool, floor: Any
    ) -> QuantizedWeights:
        return quantize_weights(
            group.weights,
            group.channel_axes,
            bits=bits,
            algorithm=config.weight_algorithm,
            per_channel=per_channel,
            floor=floor,
        )

    def constant(self, graph: Graph, group: ComputeGroup, weights: QuantizedWeights) -> str:
        """Add the Const of quantized weights to a graph; equal weights share one node."""
        import tensorflow as tf

        key = id(weights.codes)
        if key not in self._nodes:
            digest = hashlib.sha256(weights.codes.tobytes()).hexdigest()[:12]
            name = f"int8_weights/{'x'.join(map(str, weights.codes.shape))}_{digest}"
            node = make_constant(name, weights.codes, dtype=tf.qint8)
            # The reference to the codes keeps their id from being used again.
            self._nodes[key] = (weights.codes, name, node)
        _, name, node = self._nodes[key]
        if name not in graph.nodes:
            graph.insert(node)
        return name


def _with_factors(group: ComputeGroup, factors: Array) -> ComputeGroup:
    """Multiply a group's weights by its input's channel factors."""
    shape = [1] * group.weights.ndim
    shape[0 if group.op == "MatMul" else 2] = -1
    return replace(group, weights=group.weights * factors.reshape(shape))
