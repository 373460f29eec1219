"""Extremes and means of a tensor's channels (its last dimension)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass
class ChannelStatistics:
    """Running statistics of one tensor, channel by channel.

    Attributes:
        minimum: float64 [channels].
        maximum: float64 [channels].
        total: float64 [channels], the sum over samples of each sample's mean.
        samples: How many samples were seen.
    """

    minimum: Values
    maximum: Values
    total: Values
    samples: int

    @classmethod
    def of_batch(
        cls, minimum: Values, maximum: Values, mean: Values, samples: int
    ) -> ChannelStatistics:
        """Return the statistics of one batch."""
        low, high = np.asarray(minimum, np.float64), np.asarray(maximum, np.float64)
        return cls(low, high, np.asarray(mean, np.float64) * samples, samples)

    @property
    def mean(self) -> Values:
        """Mean over all samples and positions, float64 [channels]."""
        return self.total / max(self.samples, 1)

    def with_batch(self, batch: ChannelStatistics) -> ChannelStatistics:
        """Return the statistics of both."""
        return ChannelStatistics(
            np.minimum(self.minimum, batch.minimum),
            np.maximum(self.maximum, batch.maximum),
            self.total + batch.total,
            self.samples + batch.samples,
        )
