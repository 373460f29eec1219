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
    candidates = np.array([*range(min(levels, peak), peak, 8), peak])
    best = candidates[np.argmin(_divergences(magnitudes, candidates, levels))]
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
    cost = _SquaredError(histogram)
    if low >= 0 or high <= 0:
        best = fractions[np.argmin(cost(low * fractions, high * fractions))]
        return float(low * best), float(high * best)
    lows, highs = low * fractions, high * fractions
    ends = (low, high)
    # Coordinate descent: the error is convex along each end, two sweeps suffice.
    for _ in range(2):
        first = float(lows[np.argmin(cost(lows, np.full_like(lows, ends[1])))])
        ends = first, float(highs[np.argmin(cost(np.full_like(highs, first), highs))])
    return ends


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


def _divergences(counts: Array, candidates: Array, levels: int) -> Array:
    """Return KL(P ‖ Q) for thresholds after so many bins, quantized to ``levels`` levels.

    P holds what lies beyond the threshold in its last bin. Q spreads the counts of each level over
    those of its bins that are not empty, so the sum over bins of p·log q is one over levels, and
    all of them come from running sums.

    Args:
        counts: float64 [bins].
        candidates: int [n], each in [1, bins].
        levels: Of the quantization.

    Returns:
        float64 [n], infinite where nothing lies below the threshold.
    """
    mass, filled = _running(counts), _running((counts > 0).astype(np.float64))
    edges = np.arange(levels + 1) * candidates[:, None] // levels
    sums, cells = np.diff(mass[edges], axis=1), np.diff(filled[edges], axis=1)
    total, below = mass[-1], mass[candidates]
    last = counts[candidates - 1]
    clipped = last + total - below
    with np.errstate(divide="ignore", invalid="ignore"):
        log_q = np.log(sums / cells / below[:, None])
        own = np.where(last > 0, log_q[:, -1], np.log(1e-12))
        # The last bin, which holds what was clipped, is no longer what Q was made from.
        sums[:, -1] -= last
        inside = np.where(sums > 0, sums * log_q, 0.0).sum(axis=1)
        entropy = _running(_times_log(counts))[candidates] - _times_log(last) + _times_log(clipped)
        found = (entropy - inside - clipped * own) / total - np.log(total)
    return np.where(below > 0, found, np.inf)


def _running(values: Array) -> Array:
    """Return running sums that begin with 0, [n + 1]."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _times_log(values: Array) -> Array:
    """Return x·log x, 0 for 0."""
    return values * np.log(np.where(values > 0, values, 1.0))


class _SquaredError:
    """Rounding and clipping errors of many intervals at once, from running sums of a histogram."""

    def __init__(self, histogram: Histogram) -> None:
        centers, counts = histogram.centers, histogram.counts
        self._centers = centers
        self._moments = [_running(counts * centers**power) for power in range(3)]
        inside = counts.copy()
        inside[BINS // 2] = 0  # zeros, of which a ReLU makes many, are exact
        self._rounded = _running(inside)

    def __call__(self, lows: Array, highs: Array) -> Array:
        """Return the expected squared error of each interval, times the number of values."""
        first = np.searchsorted(self._centers, lows, side="left")
        beyond = np.searchsorted(self._centers, highs, side="right")
        steps = np.maximum(np.maximum(highs, 0.0) - np.minimum(lows, 0.0), 1e-12) / 255
        rounding = (self._rounded[beyond] - self._rounded[first]) * steps**2 / 12
        count, total, squares = self._moments
        under = squares[first] - 2 * lows * total[first] + lows**2 * count[first]
        over = (
            squares[-1]
            - squares[beyond]
            - 2 * highs * (total[-1] - total[beyond])
            + highs**2 * (count[-1] - count[beyond])
        )
        return np.asarray(rounding + np.maximum(under, 0.0) + np.maximum(over, 0.0))
