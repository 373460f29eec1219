"""Quantization of weights to signed integers, one scale per output channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Candidate clipping thresholds of the mse algorithm, as fractions of the largest weight.
_SHRINK = np.linspace(1.0, 0.6, 21)


@dataclass(frozen=True)
class QuantizedWeights:
    """Integer weights and their scales.

    Attributes:
        codes: int8, the shape of the float weights.
        scales: float32 [channels]; real weight = scale · code.
        channel_sums: float64 [channels], the sum of real quantized weights that feed a channel.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    channel_sums: NDArray[np.float64]


def quantize_weights(
    weights: Array,
    axes: tuple[int, ...],
    *,
    bits: int = 8,
    algorithm: str = "minmax",
    per_channel: bool = True,
    floor: Array | float = 0.0,
    pair_limit: int | None = None,
) -> QuantizedWeights:
    """Quantize weights symmetrically.

    Args:
        weights: float32, any shape.
        axes: The axes that index output channels, in the order in which channels are numbered.
        bits: Codes span ±(2^(bits−1) − 1); 2 to 8.
        algorithm: ``minmax`` maps the largest magnitude to the largest code; ``mse`` chooses the
            clipping threshold of least squared error, channel by channel.
        per_channel: False shares one scale among all channels.
        floor: Least scale per channel [channels]; it keeps a channel of tiny weights from asking
            for a bias beyond 32 bits.
        pair_limit: Greatest sum of two neighbouring codes of a channel, in magnitude; None for
            any. Channels whose large weights are apart keep nearly all of their bits.

    Returns:
        The codes in the layout of ``weights``.
    """
    limit: Any = 2 ** (bits - 1) - 1
    kernel_axes = tuple(axis for axis in range(weights.ndim) if axis not in axes)
    rows = np.transpose(weights, axes + kernel_axes).astype(np.float64)
    rows = rows.reshape(int(np.prod([weights.shape[axis] for axis in axes])), -1)
    peak = np.abs(rows).max(axis=1) if per_channel else np.full(len(rows), np.abs(rows).max())
    if pair_limit is not None:
        # Rounding adds at most a half to each of the two.
        allowed = (pair_limit - 1) * peak / np.maximum(pair_sums(rows), 1e-30)
        limit = np.floor(np.minimum(limit, allowed if per_channel else allowed.min()))
        limit = np.broadcast_to(np.maximum(limit, 1), peak.shape)
    if algorithm == "mse" and per_channel and pair_limit is None:
        peak = peak * _best_shrink(rows, peak, limit)
    scales = np.maximum(peak / limit, np.maximum(floor, 1e-12)).astype(np.float32)
    ends = np.broadcast_to(limit, peak.shape)[:, None]
    codes = np.clip(np.rint(rows / scales[:, None]), -ends, ends)
    sums = (codes * scales[:, None].astype(np.float64)).sum(axis=1)
    shape = tuple(weights.shape[axis] for axis in axes + kernel_axes)
    restored = codes.reshape(shape).transpose(np.argsort(axes + kernel_axes))
    return QuantizedWeights(np.ascontiguousarray(restored.astype(np.int8)), scales, sums)


def pair_sums(rows: Array) -> Array:
    """Return the greatest |sum| of two neighbours of one sign in each row.

    Kernels without VNNI add the products of two input channels in 16 bits. Which weights meet is
    theirs to choose; neighbours in the order (height, width, input channel) cover both the kernels
    that block input channels and those that multiply unfolded windows.

    Args:
        rows: [channels, weights of a channel in that order].

    Returns:
        [channels]; the greatest magnitude where there is only one weight.
    """
    alone: Array = np.abs(rows).max(axis=1)
    if rows.shape[1] < 2:
        return alone
    positive, negative = np.maximum(rows, 0), np.maximum(-rows, 0)
    best: Array = np.maximum(
        (positive[:, 1:] + positive[:, :-1]).max(axis=1),
        (negative[:, 1:] + negative[:, :-1]).max(axis=1),
    )
    return np.asarray(np.maximum(best, alone))


def _best_shrink(rows: Array, peak: Array, limit: int) -> Array:
    best = np.ones(len(rows))
    least = np.full(len(rows), np.inf)
    for shrink in _SHRINK:
        scale = np.maximum(peak * shrink / limit, 1e-12)[:, None]
        error = ((np.clip(np.rint(rows / scale), -limit, limit) * scale - rows) ** 2).sum(axis=1)
        better = error < least
        best[better], least[better] = shrink, error[better]
    return best
