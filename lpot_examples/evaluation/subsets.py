"""Scores on growing parts of a validation set, and on the bootstrap's draws of each part.

They are what a metric that is no plain average, such as mAP, can be raced by; see `subset_racing`.
The parts and the draws depend on the number of samples alone, so two models are compared on the
same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpot_examples.evaluation.bootstrap import Resample

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

FEWEST_SAMPLES = 400
"""Smaller validation sets are always evaluated fully."""

SHARES = (0.25, 0.5, 0.75)
"""The parts that are looked at, as fractions of all samples."""

# Draws at each look: the standard error is then known to 7 %.
_DRAWS = 100
_SEED = 1979


@dataclass(frozen=True, kw_only=True)
class SubsetScores:
    """A model's scores on the parts of the validation set that are looked at.

    Attributes:
        scores: float64 [looks].
        draws: float64 [looks, draws], the scores of the bootstrap's draws of each part.
    """

    scores: Floats
    draws: Floats

    @property
    def finite(self) -> bool:
        """Whether every selection had a score."""
        return bool(np.isfinite(self.scores).all() and np.isfinite(self.draws).all())


def subset_scores(resample: Resample, samples: int) -> SubsetScores | None:
    """Score a model on each part; None if the validation set is too small to be raced on.

    Args:
        resample: Scores a selection of all samples; see `bootstrap.Resample`.
        samples: How many there are.
    """
    if samples < FEWEST_SAMPLES:
        return None
    order = race_order(samples)
    looks = [order[:size] for size in look_sizes(samples)]
    found = SubsetScores(
        scores=np.asarray([resample(part) for part in looks], dtype=np.float64),
        draws=np.asarray(
            [
                [resample(part[draw]) for draw in part_draws(number, part)]
                for number, part in enumerate(looks)
            ],
            dtype=np.float64,
        ),
    )
    return found if found.finite else None


def race_order(samples: int) -> Indices:
    """Return the order in which all candidates of as many samples are evaluated."""
    return np.random.default_rng([_SEED, samples]).permutation(samples)


def look_sizes(samples: int) -> tuple[int, ...]:
    """Return after how many samples a candidate is looked at."""
    return tuple(int(np.ceil(share * samples)) for share in SHARES)


def part_draws(number: int, part: Indices) -> Indices:
    """Return the draws of a part, int64 [draws, samples of it]; always the same."""
    rng = np.random.default_rng([_SEED, number, len(part)])
    return rng.integers(0, len(part), (_DRAWS, len(part)))
