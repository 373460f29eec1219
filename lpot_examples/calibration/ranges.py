"""Range algorithms: from a histogram to the interval that eight bits should cover."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lpot_examples.calibration.histogram import BINS, Array, Histogram

PERCENTILE = 99.99

Range = tuple[float, float]


def minmax(histogram: Histogram) -> Range:
    """Return the exact extremes."""
    return histogram.minimum, histogram.maximum


def percentile(histogram: Histogram, *, percent: float = PERCENTILE) -> Range:
    """Leave out the rarest values: (100 − percent) % in all, half of them on each signed side."""
    low, high = minmax(histogram)
    total = histogram.counts.sum()
    if total == 0 or histogram.limit == 0:
        return low, high
    signed = low < 0 < high
    tail = total * (1 - percent / 100) / (2 if signed else 1)
    below = np.cumsum(histogram.counts)
    above = np.cumsum(histogram.counts[::-1])[::-1]
    width = 2 * histogram.limit / BINS
    first = int(np.searchsorted(below, tail, side="right"))
    last = BINS - 1 - int(np.searchsorted(above[::-1], tail, side="right"))
    cut_low = -histogram.limit + first * width if low < 0 else low
    cut_high = -histogram.limit + (last + 1) * width if high > 0 else high
    return max(low, min(cut_low, 0.0)), min(high, max(cut_high, 0.0))


def kl(histogram: Histogram) -> Range:
    """Minimize the Kullback–Leibler divergence between the values and their quantized form.

    The threshold search on magnitudes of S. Migacz, '8-bit inference with TensorRT' (GTC 2017),
    with 128 levels for signed and 256 for unsigned tensors.
    """
    low, high = minmax(histogram)
    magnitudes = _magnitudes(histogram)
    total = magnitudes.sum()
    if total == 0:
        return low, high
    levels = 128 if low < 0 else 256
    peak = int(np.flatnonzero(magnitudes)[-1]) + 1
    best, least = peak, np.inf
    for bins in (*range(min(levels, peak), peak, 8), peak):
        divergence = _divergence(magnitudes, bins, levels)
        if divergence < least:
            best, least = bins, divergence
    threshold = best * histogram.limit / len(magnitudes)
    return max(low, -threshold), min(high, threshold)


def mse(histogram: Histogram) -> Range:
    """Minimize the expected squared error of rounding and clipping.

    A step s costs s²/12 for each value inside the range (uniform rounding noise) and the squared
    distance to the nearer end for each value outside.
    """
    low, high = minmax(histogram)
    if histogram.limit == 0 or histogram.counts.sum() == 0:
        return low, high
    fractions = np.linspace(1.0, 0.2, 81)
    if low >= 0 or high <= 0:
        return _least_error(histogram, [(low * f, high * f) for f in fractions])
    best = (low, high)
    # Coordinate descent: the error is convex along each end, two sweeps suffice.
    for _ in range(2):
        best = _least_error(histogram, [(low * f, best[1]) for f in fractions])
        best = _least_error(histogram, [(best[0], high * f) for f in fractions])
    return best


ALGORITHMS: dict[str, Callable[[Histogram], Range]] = {
    "minmax": minmax,
    "percentile": percentile,
    "kl": kl,
    "mse": mse,
}


def _magnitudes(histogram: Histogram) -> Array:
    half = BINS // 2
    magnitudes = histogram.counts[half:] + histogram.counts[:half][::-1]
    # Zeros (a ReLU makes half of all values zero) are exact at any threshold; left in, their spike
    # outweighs every other difference between the distributions.
    magnitudes[0] = min(magnitudes[0], magnitudes[1])
    return magnitudes


def _divergence(counts: Array, bins: int, levels: int) -> float:
    """Return KL(P ‖ Q) for a threshold after ``bins`` bins, quantized to ``levels`` levels."""
    reference = counts[:bins].astype(np.float64)
    if not reference.any():
        return np.inf
    clipped = reference.copy()
    clipped[-1] += counts[bins:].sum()
    edges = np.minimum((np.arange(levels + 1) * bins) // levels, bins)
    starts = np.unique(edges[:-1])
    widths = np.diff(np.append(starts, bins))
    sums = np.add.reduceat(reference, starts)
    filled = np.add.reduceat((reference > 0).astype(np.float64), starts)
    expanded = np.repeat(np.divide(sums, filled, out=np.zeros_like(sums), where=filled > 0), widths)
    expanded[reference == 0] = 0.0
    support = clipped > 0
    p = clipped[support] / clipped.sum()
    total = expanded.sum()
    q = np.maximum(expanded[support] / total if total else expanded[support], 1e-12)
    return float(np.sum(p * np.log(p / q)))


def _least_error(histogram: Histogram, candidates: list[Range]) -> Range:
    return min(candidates, key=lambda ends: _squared_error(histogram, *ends))


def _squared_error(histogram: Histogram, low: float, high: float) -> float:
    centers, counts = histogram.centers, histogram.counts
    step = max(max(high, 0.0) - min(low, 0.0), 1e-12) / 255
    inside = (centers >= low) & (centers <= high)
    inside[BINS // 2] = False  # zeros, of which a ReLU makes many, are exact
    rounding = counts[inside].sum() * step**2 / 12
    over = np.maximum(centers - high, 0.0) + np.maximum(low - centers, 0.0)
    return float(rounding + np.sum(counts * over**2))
