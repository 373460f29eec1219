"""Weights quantized once and shared by every configuration."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from lpot_examples.backends.onnx.groups import ComputeGroup
from lpot_examples.backends.onnx.proto import Array
from lpot_examples.graph import TuningConfig
from lpot_examples.host import InstructionSet
from lpot_examples.quantize.weights import QuantizedWeights, pair_sums, quantize_weights

# The bias becomes int32 codes of scale s_in·s_w; this leaves room for the products.
_MAX_BIAS_CODE = float(1 << 29)

# Greatest sum of two weights whose products with 255 fit 16 bits.
_MAX_PAIR = 128


class WeightCache:
    """Quantized weights by group, bits and algorithm.

    Args:
        isa: The instruction set the model is for. Where it adds products of u8 and s8 in pairs
            with saturation, ONNX Runtime's kernels do, too. They multiply unfolded windows and pack
            four rows of the weights' matrix side by side, so that the weights that meet are
            neighbours in the order (height, width, input channel): no two of these get codes that
            sum to more than 128. Depthwise kernels add in 32 bits.
    """

    def __init__(self, isa: InstructionSet) -> None:
        self._isa = isa
        self._quantized: dict[tuple[Any, ...], QuantizedWeights] = {}

    def bits(self, group: ComputeGroup, config: TuningConfig) -> int:
        """Return how many bits a group's weights have."""
        return min(8, config.weight_bits.get(group.anchor, 8))

    def _pair_limit(self, group: ComputeGroup) -> int | None:
        """Return the greatest sum of two neighbouring weights, or None for any."""
        return _MAX_PAIR if self._isa.weights(group.kernel, "u8").bits < 8 else None

    def get(
        self,
        group: ComputeGroup,
        config: TuningConfig,
        *,
        scale: float,
        bias: Array | None,
        weights: Array | None = None,
    ) -> QuantizedWeights:
        """Return a group's quantized weights.

        Args:
            group: The group.
            config: The configuration.
            scale: That of its input's codes.
            bias: What its int32 codes must hold, or None.
            weights: In place of the group's own, of the same shape.
        """
        weights = group.weights if weights is None else weights
        own = b"" if weights is group.weights else weights.tobytes()
        bits, whole = self.bits(group, config), group.anchor in config.per_tensor
        key = (group.anchor, bits, config.weight_algorithm, whole, hashlib.sha256(own).digest())
        found = self._get(key, group, config, weights=weights, floor=0.0)
        if bias is None:
            return found
        floor = np.abs(bias).astype(np.float64) / (scale * _MAX_BIAS_CODE)
        if np.all(found.scales >= floor):
            return found
        return self._get((*key, floor.tobytes()), group, config, weights=weights, floor=floor)

    def may_saturate(
        self, group: ComputeGroup, weights: QuantizedWeights, isa: InstructionSet
    ) -> bool:
        """Tell whether a group's kernel could saturate on an instruction set."""
        if isa.weights(group.kernel, "u8").bits == 8:
            return False
        codes = _in_order(group, weights.codes).astype(np.int32)
        return int(pair_sums(codes.reshape(len(codes), -1)).max()) > _MAX_PAIR

    def mean_shift(
        self, group: ComputeGroup, exact: Array, weights: QuantizedWeights, mean: Array
    ) -> Array:
        """Return by how much rounding the weights moves the mean of each output channel.

        Σ (W̃ − W)·E[x] over a channel's weights: the bias correction of Nagel et al., "Data-Free
        Quantization Through Weight Equalization and Bias Correction" (2019), with E[x] measured.

        Args:
            group: A Conv or Gemm.
            exact: The weights before they were quantized.
            weights: The quantized weights.
            mean: Mean of each input channel, float64 [input channels].

        Returns:
            float64 [channels].
        """
        shape = [1] * group.weights.ndim
        shape[group.channel_axis] = -1
        scales = weights.scales.astype(np.float64).reshape(shape)
        error = weights.codes.astype(np.float64) * scales - exact
        if group.op != "Conv":
            return np.asarray(error @ mean if group.channel_axis == 0 else mean @ error)
        taps = error.reshape(*error.shape[:2], -1).sum(axis=2)  # [outputs, inputs of a group]
        means = mean.reshape(group.groups, -1)
        each = group.channels // group.groups
        return np.asarray(np.sum(taps * np.repeat(means, each, axis=0), axis=1))

    def _get(
        self,
        key: tuple[Any, ...],
        group: ComputeGroup,
        config: TuningConfig,
        *,
        weights: Array,
        floor: Any,
    ) -> QuantizedWeights:
        if key not in self._quantized:
            found = quantize_weights(
                _in_order(group, weights),
                (0,),
                bits=self.bits(group, config),
                algorithm=config.weight_algorithm,
                per_channel=group.anchor not in config.per_tensor,
                floor=floor,
                pair_limit=self._pair_limit(group),
            )
            codes = np.ascontiguousarray(_back(group, found.codes))
            self._quantized[key] = replace(found, codes=codes)
        return self._quantized[key]


def _in_order(group: ComputeGroup, weights: Array) -> Array:
    """Return weights as [outputs, …], the rest in the order in which kernels multiply them."""
    if group.op == "Conv":
        return np.moveaxis(weights, 1, -1)
    return weights if group.channel_axis == 0 else weights.T


def _back(group: ComputeGroup, weights: Array) -> Array:
    """Undo `_in_order`."""
    if group.op == "Conv":
        return np.moveaxis(weights, -1, 1)
    return weights if group.channel_axis == 0 else weights.T
