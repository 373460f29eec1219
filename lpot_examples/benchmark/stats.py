"""Latency statistics, with confidence intervals that do not trust single iterations.

Noise on a shared machine comes in spells that last many iterations, so iterations are not
independent samples; rounds nearly are. Intervals therefore rest on one value per round, and on
order statistics alone: they need no distribution, no random numbers, and one slow round cannot
spoil them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: Lower end, in the unit of the estimate.
        high: Upper end, in the unit of the estimate.
        confidence: Probability in 0–1 that the interval covers the true median; it is below 0.95
            where there are too few rounds (under 6) for more.
    """

    low: float
    high: float
    confidence: float

    def to_dict(self) -> dict[str, float]:
        """Return the fields as JSON values."""
        return {"low": self.low, "high": self.high, "confidence": self.confidence}


@dataclass(frozen=True, kw_only=True)
class LatencyStats:
    """The timings of one model.

    Attributes:
        rounds_ms: One float64 array [iterations] of milliseconds for each round, none empty.
        batch_size: Samples in a call of the model.
        instances: Processes that ran at the same time; their timings are pooled in each round.
    """

    rounds_ms: tuple[NDArray[np.float64], ...]
    batch_size: int = 1
    instances: int = 1

    def __post_init__(self) -> None:
        if not self.rounds_ms or any(len(samples) == 0 for samples in self.rounds_ms):
            raise ValueError("LatencyStats needs at least one round, and no round may be empty.")

    @cached_property
    def samples_ms(self) -> NDArray[np.float64]:
        """All timings, float64 [iterations], milliseconds."""
        return np.concatenate(self.rounds_ms)

    @cached_property
    def round_medians_ms(self) -> NDArray[np.float64]:
        """The median of each round, float64 [rounds], milliseconds."""
        return np.array([np.median(samples) for samples in self.rounds_ms])

    @property
    def p50(self) -> float:
        """Median latency of a call, milliseconds."""
        return self._percentile(50)

    @property
    def p90(self) -> float:
        """90th percentile, milliseconds."""
        return self._percentile(90)

    @property
    def p99(self) -> float:
        """99th percentile, milliseconds; near the maximum when there are under 100 timings."""
        return self._percentile(99)

    @property
    def mean(self) -> float:
        """Mean latency of a call, milliseconds."""
        return float(self.samples_ms.mean())

    @property
    def std(self) -> float:
        """Sample standard deviation, milliseconds; 0 for a single timing."""
        return float(self.samples_ms.std(ddof=1)) if len(self.samples_ms) > 1 else 0.0

    @property
    def min(self) -> float:
        """Shortest call, milliseconds."""
        return float(self.samples_ms.min())

    @property
    def throughput(self) -> float:
        """Samples per second over all instances while the model was being timed."""
        return 1000.0 * self.batch_size * self.instances / self.mean

    @property
    def p50_interval(self) -> Interval:
        """Confidence interval of the median, from the medians of the rounds."""
        return median_interval(self.round_medians_ms)

    def _percentile(self, percent: float) -> float:
        return float(np.percentile(self.samples_ms, percent))

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as JSON values; times in milliseconds, throughput per second."""
        return {
            "p50": self.p50,
            "p90": self.p90,
            "p99": self.p99,
            "mean": self.mean,
            "std": self.std,
            "min": self.min,
            "p50_interval": self.p50_interval.to_dict(),
            "throughput": self.throughput,
            "batch_size": self.batch_size,
            "instances": self.instances,
            "iterations": len(self.samples_ms),
            "rounds": len(self.rounds_ms),
            "round_medians": self.round_medians_ms.tolist(),
        }


@dataclass(frozen=True)
class Speedup:
    """How many times as fast as the baseline a model is; above 1 is faster.

    Attributes:
        value: Median over the rounds of baseline median / model median.
        interval: Its confidence interval.
    """

    value: float
    interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {"value": self.value, "interval": self.interval.to_dict()}


def paired_speedup(baseline: LatencyStats, model: LatencyStats) -> Speedup:
    """Compare two models that were timed in the same rounds.

    Within a round both meet the same machine, so the ratio is steadier than either latency.

    Raises:
        ValueError: If the two were not timed in the same number of rounds.
    """
    if len(baseline.rounds_ms) != len(model.rounds_ms):
        raise ValueError("a paired speed-up needs timings from the same rounds")
    ratios = baseline.round_medians_ms / model.round_medians_ms
    return Speedup(float(np.median(ratios)), median_interval(ratios))


def median_interval(
    values: Sequence[float] | NDArray[np.float64], *, confidence: float = 0.95
) -> Interval:
    """Return the binomial (sign test) confidence interval of the median.

    The interval from the k-th smallest to the k-th largest of n independent values covers the
    median with probability 1 − 2·P(Binomial(n, ½) < k), whatever the distribution (Conover,
    Practical Nonparametric Statistics, section 3.2). The largest k that keeps the confidence is
    taken; without one, the full range and what it covers.

    Args:
        values: At least one finite number.
        confidence: The least coverage wanted, 0–1.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    count = len(ordered)
    below = [math.comb(count, i) / 2**count for i in range(count + 1)]
    k, tail = 1, below[0]
    while k < (count + 1) // 2 and 1 - 2 * (tail + below[k]) >= confidence:
        tail += below[k]
        k += 1
    return Interval(float(ordered[k - 1]), float(ordered[count - k]), 1 - 2 * tail)
