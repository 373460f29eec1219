"""The NumPy oracle: what an int8 kernel must give, in exact integer arithmetic.

Codes come in and codes go out. Products are summed without rounding or saturation; everything
after the sum (scales, bias, summand, activation, requantization) is float64. A kernel is right when
its codes differ from these by at most one, which a tie of rounding explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lpot_examples.quantize.encoding import Encoding
from lpot_examples.quantize.weights import QuantizedWeights

Array = NDArray[Any]
Kind = Literal["Conv2D", "DepthwiseConv2dNative", "MatMul"]


@dataclass(frozen=True, kw_only=True)
class LinearKernel:
    """A linear op with everything that its int8 kernel fuses.

    Attributes:
        op: What it computes.
        reads: Encoding of its input.
        weights: Its quantized weights: [h, w, in, out], depthwise [h, w, in, multiplier],
            MatMul [in, out].
        bias: float [channels].
        makes: Encoding of its result; None for real values.
        activation: ``Relu``, ``Relu6`` or None.
        summand: Encoding of the tensor it adds before the activation, or None.
        strides: Vertical and horizontal.
        dilations: Vertical and horizontal.
        pads: Zeros before and after the rows, before and after the columns.
    """

    op: Kind
    reads: Encoding
    weights: QuantizedWeights
    bias: Array
    makes: Encoding | None = None
    activation: str | None = None
    summand: Encoding | None = None
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __call__(self, codes: Array, added: Array | None = None) -> Array:
        """Return the result's codes, or float64 values if ``makes`` is None.

        Args:
            codes: The input's codes, uint8 or int8: [n, h, w, c], MatMul [n, c].
            added: The summand's codes, where there is one.
        """
        real = self._accumulate(codes) * (self.reads.scale * self.weights.scales.astype(np.float64))
        real = real + np.asarray(self.bias, np.float64)
        if added is not None and self.summand is not None:
            steps = added.astype(np.float64) - self.summand.zero_point
            real = real + steps * self.summand.scale
        real = activate(real, self.activation)
        return real if self.makes is None else self.makes.quantize(real)

    def _accumulate(self, codes: Array) -> Array:
        """Return exact sums of products; float64 holds integers up to 2^53."""
        steps = codes.astype(np.float64) - self.reads.zero_point
        weights = self.weights.codes.astype(np.float64)
        if self.op == "MatMul":
            return np.asarray(steps @ weights)
        windows = _windows(steps, weights.shape[:2], self.strides, self.dilations, self.pads)
        if self.op == "Conv2D":
            return np.asarray(np.tensordot(windows, weights, axes=([4, 5, 3], [0, 1, 2])))
        products = np.einsum("nyxcij,ijcm->nyxcm", windows, weights)
        return np.asarray(products.reshape(*products.shape[:3], -1))


def activate(real: Array, activation: str | None) -> Array:
    """Apply ``Relu``, ``Relu6`` or nothing."""
    if activation is None:
        return real
    return np.clip(real, 0.0, 6.0 if activation == "Relu6" else np.inf)


def same_pads(
    size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, int, int, int]:
    """Return TensorFlow's SAME padding for rows and columns (``tf.nn``, "Notes on padding").

    Args:
        size: Height and width of the input.
        kernel: Height and width of the kernel.
        strides: Vertical and horizontal.
        dilations: Vertical and horizontal.
    """
    pads = []
    for extent, taps, stride, dilation in zip(size, kernel, strides, dilations, strict=True):
        outputs = -(-extent // stride)
        total = max((outputs - 1) * stride + (taps - 1) * dilation + 1 - extent, 0)
        pads += [total // 2, total - total // 2]
    return pads[0], pads[1], pads[2], pads[3]


def sqnr(signal: Array, other: Array) -> float:
    """Return the signal-to-quantization-noise ratio in dB; infinite for equal arrays.

    Raises:
        ValueError: If the shapes differ.
    """
    if np.shape(signal) != np.shape(other):
        raise ValueError(f"shapes differ: {np.shape(signal)} and {np.shape(other)}")
    clean = np.asarray(signal, np.float64)
    noise = float(np.sum((clean - np.asarray(other, np.float64)) ** 2))
    power = float(np.sum(clean**2))
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(power / noise)) if power > 0 else float("-inf")


def _windows(
    steps: Array,
    kernel: Sequence[int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    pads: tuple[int, int, int, int],
) -> Array:
    """Return a view [n, y, x, c, kernel y, kernel x] of the zero-padded input."""
    padded = np.pad(steps, ((0, 0), pads[:2], pads[2:], (0, 0)))
    spans = tuple((taps - 1) * d + 1 for taps, d in zip(kernel, dilations, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(1, 2))
    return windows[:, :: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]
