"""A histogram of a stream whose range is not known in advance."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BINS = 4096

# Below this limit the scale of a histogram does not fit float32.
_FLOAT32 = 2.0**-100


@dataclass
class Histogram:
    """Counts over [−limit, limit], where limit is a power of two that doubles when exceeded.

    Doubling merges bins pairwise around zero, so nothing is lost but resolution, and memory does
    not grow with the stream.

    Attributes:
        minimum: Exact least value seen.
        maximum: Exact greatest value seen.
        limit: Half-width of the histogram; 0 before any value other than zero.
        counts: int64 [BINS], of the values sampled.
        seen: How many values the stream had; `counts` may hold a sample of them.
    """

    minimum: float = math.inf
    maximum: float = -math.inf
    limit: float = 0.0
    counts: Array = field(default_factory=lambda: np.zeros(BINS, np.int64))
    seen: int = 0

    def add(self, sample: Array, *, minimum: float, maximum: float, size: int) -> None:
        """Add one batch of a tensor.

        Args:
            sample: float32 [n], all values or an unbiased sample of them.
            minimum: Exact least value of the batch.
            maximum: Exact greatest value of the batch.
            size: How many values the batch has.
        """
        self.minimum = min(self.minimum, float(minimum))
        self.maximum = max(self.maximum, float(maximum))
        self.seen += size
        peak = max(abs(float(minimum)), abs(float(maximum)))
        if peak > 0:
            self._grow(peak)
        if self.limit == 0:
            self.counts[BINS // 2] += sample.size
            return
        # A limit is a power of two, so that scaling is exact; then rounding down is, too.
        exact = sample if self.limit >= _FLOAT32 else sample.astype(np.float64)
        index = np.floor(exact * exact.dtype.type(BINS / 2 / self.limit))
        np.clip(index, -(BINS // 2), BINS // 2 - 1, out=index)
        self.counts += np.bincount(index.astype(np.intp) + BINS // 2, minlength=BINS)

    def copy(self) -> Histogram:
        """Return an independent copy."""
        return Histogram(self.minimum, self.maximum, self.limit, self.counts.copy(), self.seen)

    @property
    def centers(self) -> NDArray[np.float64]:
        """Middles of the bins, float64 [BINS]."""
        width = 2 * self.limit / BINS
        return np.asarray(-self.limit + width * (np.arange(BINS) + 0.5), np.float64)

    def _grow(self, peak: float) -> None:
        wanted = 2.0 ** math.ceil(math.log2(peak))
        if self.limit == 0:
            self.limit = wanted
            return
        while self.limit < wanted:
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros(BINS, np.int64)
            self.counts[BINS // 4 : 3 * BINS // 4] = pairs
            self.limit *= 2
