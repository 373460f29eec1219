"""Equalization: every channel gets a resolution of its own, at no run-time cost.

A narrow channel of a wide tensor uses few of the 256 codes, more so where data movement ties
branches of different ranges to one encoding. With a factor f per channel, the convolution that
makes it has weights and bias divided by f, and those that read it have weights multiplied by f: the
network computes what it did. This is cross-layer equalization (Nagel et al., "Data-Free
Quantization Through Weight Equalization and Bias Correction", 2019), through data movement as well.
It is done to convolutions in either precision, so a group in fp32 between int8 ones does not stand
in its way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lpot_examples.backends.onnx.channels import Channels
from lpot_examples.backends.onnx.groups import ComputeGroup
from lpot_examples.backends.onnx.plan import Plan
from lpot_examples.backends.onnx.proto import Array
from lpot_examples.calibration.statistics import Statistics

# Depthwise readers lose nothing by stretched channels; less than 1 leaves the channels room for
# values that the calibration data did not show.
_DEPTHWISE_STRENGTH = 0.75

# Beyond this nothing is gained: such a channel is constant next to the others.
_LEAST = 2.0**-8


@dataclass(frozen=True)
class Factors:
    """Channel factors of a configuration; what is not there is 1.

    Attributes:
        made: Group to what its output channels are divided by, float64 [channels].
        read: Group to what its input channels are multiplied by, float64 [input channels].
    """

    made: Mapping[str, Array] = field(default_factory=dict)
    read: Mapping[str, Array] = field(default_factory=dict)

    def weights(self, group: ComputeGroup) -> Array:
        """Return a group's float weights with the factors in them."""
        weights = group.weights
        if (read := self.read.get(group.anchor)) is not None:
            by_group = np.repeat(
                read.reshape(group.groups, -1), group.channels // group.groups, axis=0
            )
            weights = weights * by_group.reshape(*by_group.shape, *[1] * (weights.ndim - 2))
        if (made := self.made.get(group.anchor)) is not None:
            weights = weights / made.reshape(-1, *[1] * (weights.ndim - 1))
        return weights if weights is group.weights else weights.astype(np.float32)

    def bias(self, group: ComputeGroup) -> Array | None:
        """Return a group's float bias likewise."""
        made = self.made.get(group.anchor)
        if group.bias is None or made is None:
            return group.bias
        return np.asarray(group.bias / made)

    @property
    def touched(self) -> frozenset[str]:
        """The groups whose weights are others."""
        return frozenset({*self.made, *self.read})


def find_factors(
    plan: Plan,
    channels: Channels,
    groups: Mapping[str, ComputeGroup],
    statistics: Statistics,
    *,
    strength: float,
) -> Factors:
    """Return the factors of a planned configuration.

    Args:
        plan: The plan.
        channels: Where channels go.
        groups: All groups that can run in int8.
        statistics: Those that the plan was made with.
        strength: 0 for factors of 1; 1 for channels that use their whole encoding, which costs
            the readers' weights all of the difference.
    """
    if strength == 0:
        return Factors()
    factors = np.ones(len(channels.free))
    others = np.zeros(len(channels.free), bool)  # read by more than depthwise convolutions
    for name, numbers in channels.read.items():
        if not groups[name].depthwise:
            others[numbers] = True
    for name, start in channels.first.items():
        group = groups[name]
        span, known = plan.ranges.get(group.output), statistics.channels.get(group.output)
        if span is None or known is None:
            continue
        ratio = np.zeros(group.channels)
        ends = (np.maximum(known.minimum, span[0]), np.minimum(known.maximum, span[1]))
        for values, bound in zip(ends, span, strict=True):
            if bound != 0:
                ratio = np.maximum(ratio, values / bound)
        own = slice(start, start + group.channels)
        power = np.where(others[own], strength, max(strength, _DEPTHWISE_STRENGTH))
        factors[own] = np.clip(ratio, _LEAST, 1.0) ** power
    factors[~channels.free] = 1.0
    made = {
        name: factors[start : start + groups[name].channels]
        for name, start in channels.first.items()
    }
    read = {name: factors[numbers] for name, numbers in channels.read.items()}
    return Factors(_different(made), _different(read))


def _different(factors: Mapping[str, Array]) -> dict[str, Array]:
    return {name: one for name, one in factors.items() if np.any(one != 1)}
