"""Intervals for paired answers that are right or wrong, by inverting score tests.

Both compare two models on the same samples through a 2 x 2 table of who was right. What matters
are the samples on which just one is right; there may be a handful of them, or none, where the
usual normal approximation and the bootstrap break down and score intervals do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Matched:
    """How often each of two models was right.

    Attributes:
        both: Samples on which both were right.
        first: Samples on which only the first was.
        second: Samples on which only the second was.
        neither: The others.
    """

    both: int
    first: int
    second: int
    neither: int

    @classmethod
    def of(cls, first: NDArray[np.float64], second: NDArray[np.float64]) -> Matched:
        """Count two models' 0/1 answers, float64 [samples] each."""
        one, two = first > 0.5, second > 0.5
        counts = (one & two, one & ~two, ~one & two, ~one & ~two)
        both, only_first, only_second, neither = (int(np.count_nonzero(at)) for at in counts)
        return cls(both=both, first=only_first, second=only_second, neither=neither)

    @property
    def samples(self) -> int:
        """How many there are."""
        return self.both + self.first + self.second + self.neither


def difference(table: Matched, *, level: float) -> tuple[float, float]:
    """Return the interval of p1 − p2, the first model's share of right answers less the second's.

    Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17 (1998), equations (6) to (8).

    Args:
        table: The counts; at least one sample.
        level: The coverage wanted, in (0, 1).

    Returns:
        Its ends in [−1, 1].
    """
    n, b, c = table.samples, table.first, table.second

    def statistic(delta: float) -> float:
        linear = (2 * n - b + c) * delta - b - c
        constant = -c * delta * (1 - delta)
        root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
        second = (root - linear) / (4 * n)
        variance = n * (2 * second + delta * (1 - delta))
        return _ratio(b - c - n * delta, variance)

    return _invert(statistic, (b - c) / n, level=level, least=-1.0, most=1.0)


def ratio(table: Matched, *, level: float) -> tuple[float, float] | None:
    """Return the interval of p2 / p1, the second model's share of right answers by the first's.

    Nam and Blackwelder, "Analysis of the ratio of marginal probabilities in a matched-pair
    setting", Statistics in Medicine 21 (2002): the score test with the share of samples on which
    one is right estimated under the hypothesis.

    Args:
        table: The counts.
        level: The coverage wanted, in (0, 1).

    Returns:
        Its ends, >= 0; None if a model was never right.
    """
    n = table.samples
    one, two = (table.both + table.first) / n, (table.both + table.second) / n
    if one == 0 or two == 0:
        return None
    only_first, only_second, any_right = table.first / n, table.second / n, 1 - table.neither / n

    def statistic(theta: float) -> float:
        square = theta * theta
        root = math.sqrt((two - square * one) ** 2 + 4 * square * only_first * only_second)
        second = (square * (one + 2 * only_second) - two + root) / (2 * theta * (theta + 1))
        first = theta * second + (1 - theta) * any_right
        return _ratio(n * (two - theta * one), n * theta * (first + second))

    return _invert(statistic, two / one, level=level, least=1e-6, most=1e6)


def _ratio(distance: float, variance: float) -> float:
    if distance == 0:
        return 0.0
    return distance / math.sqrt(variance) if variance > 1e-300 else math.copysign(1e300, distance)


def _invert(
    statistic: Callable[[float], float],
    estimate: float,
    *,
    level: float,
    least: float,
    most: float,
) -> tuple[float, float]:
    """Return where a falling statistic crosses ±z around the estimate, where it is 0."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    z = float(ndtri((1 + level) / 2))

    def end(outer: float, sign: float) -> float:
        if sign * (statistic(outer) - sign * z) <= 0:
            return outer
        return float(brentq(lambda at: statistic(at) - sign * z, outer, estimate, xtol=1e-12))

    return end(least, 1.0), end(most, -1.0)
