"""The paired bootstrap: intervals for scores that are no plain average, such as mAP.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993): the samples are drawn anew with
replacement, the same draws for both models, and the BCa interval (section 14.3) is read off the
drops of the draws. Draws depend on the number of samples alone, so the scores of two models that
were resampled in different processes, months apart, are still paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Resample = Callable[[NDArray[np.int64]], float]
"""``resample(indices) -> score``: the metric of a selection of the evaluated samples; int64 [any],
indices in the order of the dataset, where a sample that is drawn twice counts as two. All of them
once give the score itself."""

RESAMPLES = 1000
"""Draws; enough that the ends of a 95 % interval come from 25 draws each."""

_SEED = 1993
_ROUNDING = 1e-12
# Leave-one-out scores give the acceleration. With more samples than this, groups are left out:
# third and second moments of sums of independent terms are sums, so their ratio stays the same.
_MOST_GROUPS = 100


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """One model's scores on the draws.

    Attributes:
        scores: float64 [RESAMPLES], on each draw.
        left_out: float64 [groups], with one group of samples left out at a time.
    """

    scores: Floats
    left_out: Floats

    @property
    def finite(self) -> bool:
        """Whether every selection had a score."""
        return bool(np.isfinite(self.scores).all() and np.isfinite(self.left_out).all())


def replicate(resample: Resample, samples: int) -> Replicates:
    """Score a model on the draws; the same draws for every model of as many samples.

    Args:
        resample: See `Resample`.
        samples: How many samples were evaluated, at least 2.
    """
    return Replicates(
        scores=np.asarray([resample(draw) for draw in draws(samples)], dtype=np.float64),
        left_out=np.asarray([resample(rest) for rest in _without(samples)], dtype=np.float64),
    )


def draws(samples: int) -> Iterator[NDArray[np.int64]]:
    """Yield `RESAMPLES` draws, int64 [samples], with replacement; always the same."""
    rng = np.random.default_rng([_SEED, samples])
    for _ in range(RESAMPLES):
        yield rng.integers(0, samples, samples)


def bca(
    estimate: float, scores: Floats, left_out: Floats, *, level: float
) -> tuple[float, float] | None:
    """Return the bias-corrected and accelerated interval of a statistic.

    Args:
        estimate: The statistic of all samples.
        scores: float64 [draws], the statistic of each draw.
        left_out: float64 [groups], the statistic without each group.
        level: The coverage wanted, in (0, 1).

    Returns:
        Its ends; None where no draw differs from the others, which says nothing.

    The interval is equation (14.10) of Efron and Tibshirani (1993); draws equal to the estimate
    count as half below it, as scores of few samples are discrete.
    """
    from scipy.special import ndtr, ndtri

    if np.ptp(scores) <= _ROUNDING * np.abs(scores).max():
        return None
    below = np.count_nonzero(scores < estimate) + 0.5 * np.count_nonzero(scores == estimate)
    bias = ndtri(np.clip(below, 0.5, len(scores) - 0.5) / len(scores))
    influence = left_out.mean() - left_out
    spread = float((influence**2).sum()) ** 1.5
    acceleration = float((influence**3).sum()) / (6 * spread) if spread > 0 else 0.0
    tails = bias + ndtri(np.asarray([(1 - level) / 2, (1 + level) / 2]))
    shares = ndtr(bias + tails / (1 - acceleration * tails))
    low, high = np.quantile(scores, shares)
    return float(low), float(high)


def _without(samples: int) -> Iterator[NDArray[np.int64]]:
    """Yield all samples but one group, for each group; neighbours are in different groups."""
    groups = min(samples, _MOST_GROUPS)
    every = np.arange(samples)
    for group in range(groups):
        yield every[every % groups != group]
