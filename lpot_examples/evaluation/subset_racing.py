"""Racing for scores that are no plain average, such as mAP: looks at growing parts of the samples.

The samples are evaluated in a random order. At a few sizes the candidate's score on the samples so
far is compared with that of fp32 on the same ones. The standard error of the difference comes from
the paired bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 6),
less what the finite set takes from it. If the loss is beyond the bar by so many standard errors
that this happens to a candidate on the bar with probability `RISK` at most (Bonferroni over the
looks, normal approximation), the candidate is given up.

As in `racing`, only hopelessness is decided so: nothing is shipped that was not evaluated fully.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.racing import RISK, Stop
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.evaluation.subsets import (
    SHARES,
    Floats,
    Indices,
    SubsetScores,
    look_sizes,
    part_draws,
    race_order,
)


class SubsetRace:
    """A monitor that gives one candidate up when it is hopeless.

    An ``eval_func`` evaluates in the order of `order`. Whenever `due` says so it calls `look`, and
    ends if the answer is True. One that reports single samples instead is never stopped.

    Args:
        baseline: The fp32 model's scores.
        samples: How many samples there are.
        criterion: The bar.

    Attributes:
        stop: Why the candidate was given up, or None if it was not.
    """

    def __init__(self, baseline: SubsetScores, samples: int, criterion: Criterion) -> None:
        self.stop: Stop | None = None
        self._baseline = baseline
        self._samples = samples
        self._criterion = criterion
        self._waiting = list(look_sizes(samples))

    def order(self, samples: int) -> Indices:
        """Return the order to evaluate in."""
        if samples != self._samples:
            self._waiting = []
            return np.arange(samples)
        return race_order(samples)

    def __call__(self, scores: Sequence[float] | Floats, indices: Sequence[int] | Indices) -> bool:
        """Take the scores of single samples, from which nothing follows here; False."""
        return False

    def due(self, done: int) -> bool:
        """Tell whether the candidate is to be looked at after so many samples."""
        return bool(self._waiting) and self._waiting[0] <= done < self._samples

    def look(self, score: Callable[[Indices], float], done: int) -> bool:
        """Compare with fp32 on what is evaluated so far; True if the candidate is hopeless.

        Args:
            score: Scores a selection of the evaluated samples, given by their indices among all
                samples; an index that comes twice counts as two.
            done: How many samples, the first ones of the order, are evaluated.
        """
        sizes = look_sizes(self._samples)
        while self.due(done) and self.stop is None:
            size = self._waiting.pop(0)
            self._compare(sizes.index(size), size, score)
        return self.stop is not None

    def stopped(self, result: EvaluationResult | None) -> bool:
        """Tell whether the candidate was given up, and not evaluated fully all the same."""
        full = result is not None and result.samples >= self._samples
        return self.stop is not None and not full

    def _compare(self, number: int, size: int, score: Callable[[Indices], float]) -> None:
        from scipy.special import ndtri

        part = race_order(self._samples)[:size]
        fp32 = float(self._baseline.scores[number])
        found = score(part)
        draws = np.asarray([score(part[draw]) for draw in part_draws(number, part)])
        pairs = zip(self._baseline.draws[number], draws, strict=True)
        spread = np.std([self._beyond(*pair) for pair in pairs], ddof=1)
        # Of a finite set, the samples that are left are all that is uncertain.
        error = float(spread) * np.sqrt(1 - size / self._samples)
        certain = self._beyond(fp32, found) - float(ndtri(1 - RISK / len(SHARES))) * error
        if not np.isfinite(certain) or certain <= 0:
            return
        allowance = self._criterion.allowance(fp32)
        self.stop = Stop(
            samples=size,
            of=self._samples,
            loss=self._criterion.loss(fp32, found),
            bound=allowance + float(certain),
            allowance=allowance,
        )

    def _beyond(self, fp32: float, found: float) -> float:
        """Return by how much a loss exceeds what is allowed of this fp32 score."""
        return self._criterion.loss(fp32, found) - self._criterion.allowance(fp32)
