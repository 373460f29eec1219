"""Racing: a hopeless candidate is stopped before all samples are evaluated.

The samples are evaluated in a random order drawn before. The loss that the whole validation set
will show is then a mean of which a part was drawn without replacement, and the hypothesis "it will
be within the bar" is tested by betting against it: a gambler who starts with 1 stakes a part of
his capital before each sample, at odds that are fair if the loss of the whole set is just what is
allowed, and unfavourable if it is less. By Ville's inequality he ever reaches 1/`RISK` with
probability `RISK` at most, however often one looks: a candidate that would have met the bar is
stopped with no more than that probability. Waudby-Smith and Ramdas, "Estimating means of bounded
random variables by betting", Journal of the Royal Statistical Society B 86 (2024), sections 4
(capital), 5 (without replacement), and the discrete mixture over stakes of their appendix.

Only hopelessness is decided so. No candidate is shipped that was not evaluated on every sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.evidence import Evidence
from lpot_examples.evaluation.result import EvaluationResult

RISK = 0.01
"""Greatest probability that a candidate which would meet the bar is stopped."""

FEWEST_SAMPLES = 200
"""Smaller validation sets are always evaluated fully: there is little to save."""

# The gambler divides his capital among stakes, as parts of the largest that cannot ruin him. The
# mixture's capital is at least a twelfth of that of the best of them.
_STAKES = np.geomspace(0.002, 0.9, 12)
_ROUNDING = 1e-9

Floats = NDArray[np.float64]


class Monitor(Protocol):
    """What an ``eval_func`` that takes ``monitor=`` is given.

    It evaluates the samples in the order of `order` and, after each batch, reports what it found.
    If the answer is True it ends; what it then returns does not matter.
    """

    def order(self, samples: int) -> NDArray[np.int64]:
        """Return the order to evaluate the dataset's samples in, a permutation of their indices."""

    def __call__(
        self, scores: Sequence[float] | Floats, indices: Sequence[int] | NDArray[np.int64]
    ) -> bool:
        """Take the scores of the samples of one batch and their indices; tell whether to stop.

        The metric must be the mean of these scores over all samples.
        """


def raced_pass(
    batches: Any, samples: int, monitor: Any
) -> tuple[NDArray[np.int64], Iterator[Any]] | None:
    """Return the order a monitor asks for and the batches in it; None if there is no such pass.

    Args:
        batches: With a method ``ordered(indices)``, if it can be read in any order.
        samples: How many samples it holds.
        monitor: With a method `Monitor.order`; None where nobody watches.
    """
    ordered = getattr(batches, "ordered", None)
    if monitor is None or ordered is None:
        return None
    order = monitor.order(samples)
    return order, ordered(order)


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Why a candidate was given up.

    Attributes:
        samples: How many samples had been evaluated.
        of: How many there are.
        loss: Mean loss on those samples, in the metric's unit; an estimate.
        bound: The loss on the whole set is at least this, with probability 1 − `RISK`.
        allowance: The greatest loss allowed.
    """

    samples: int
    of: int
    loss: float
    bound: float
    allowance: float


class Race:
    """A `Monitor` that stops one candidate when it is hopeless.

    It stops nothing if the reports do not follow the order that it gave, or a score lies outside
    [0, 1]: the argument would not hold.

    Args:
        baseline: The fp32 model's scores of the samples; see `can_race`.
        criterion: The bar.
        seed: Draws the order; another one for each candidate.

    Attributes:
        stop: Why the candidate was stopped, or None if it was not.
    """

    def __init__(self, baseline: Evidence, criterion: Criterion, *, seed: int) -> None:
        assert baseline.per_sample is not None
        self.stop: Stop | None = None
        self._baseline = baseline.per_sample
        self._criterion = criterion
        self._allowance = criterion.allowance(float(self._baseline.mean()))
        samples = len(self._baseline)
        self._order = np.random.default_rng([seed, samples]).permutation(samples)
        self._gambler = Gambler(samples, self._allowance)
        self._losses = np.empty(samples)
        self._done = 0
        self._valid = True

    def order(self, samples: int) -> NDArray[np.int64]:
        """Return the order to evaluate in."""
        if samples == len(self._order):
            return self._order
        self._valid = False
        return np.arange(samples)

    def __call__(
        self, scores: Sequence[float] | Floats, indices: Sequence[int] | NDArray[np.int64]
    ) -> bool:
        """Take a batch's scores; True if the candidate is hopeless."""
        found = np.asarray(scores, dtype=np.float64)
        rows = np.asarray(indices, dtype=np.int64)
        end = self._done + len(rows)
        expected = self._order[self._done : end]
        fair = found.shape == rows.shape and np.array_equal(rows, expected)
        self._valid &= bool(fair and ((found >= 0) & (found <= 1)).all())
        if not self._valid or self.stop is not None:
            return self.stop is not None
        losses = self._baseline[rows] - found
        losses = losses if self._criterion.higher_is_better else -losses
        self._losses[self._done : end] = losses
        self._done = end
        self._gambler.bet(losses)
        samples = len(self._order)
        if end == samples or not self._gambler.won():
            return False
        seen = self._losses[:end]
        self.stop = Stop(
            samples=end,
            of=samples,
            loss=float(seen.mean()),
            bound=lower_bound(seen, samples),
            allowance=self._allowance,
        )
        return True

    def stopped(self, result: EvaluationResult | None) -> bool:
        """Tell whether the candidate was given up, and not evaluated fully all the same."""
        full = result is not None and result.samples >= len(self._order)
        return self.stop is not None and not full


def can_race(baseline: Evidence | None) -> str:
    """Tell why candidates cannot be raced against a baseline; empty if they can."""
    if baseline is None:
        return "the evaluation gives no per-sample scores"
    if baseline.per_sample is None:
        return "the metric is no mean of per-sample scores"
    if baseline.samples < FEWEST_SAMPLES:
        return f"there are fewer than {FEWEST_SAMPLES} samples"
    if not ((baseline.per_sample >= 0) & (baseline.per_sample <= 1)).all():
        return "per-sample scores lie outside [0, 1]"
    return ""


class Gambler:
    """Bets that the mean loss of all samples is greater than what is allowed.

    Args:
        samples: How many samples there are in all.
        allowance: The greatest mean loss allowed.

    Attributes:
        most: Logarithm of the greatest capital reached; infinite once the samples that are left
            could not bring the mean down to what is allowed.
    """

    def __init__(self, samples: int, allowance: float) -> None:
        self._samples = samples
        self._sum = samples * allowance
        self._seen = 0
        self._capital = np.zeros(len(_STAKES))
        self.most = 0.0

    def bet(self, losses: Floats) -> None:
        """Go through the next samples' losses, float64 [n] in [−1, 1], in the random order."""
        before = self._sum - np.concatenate([[0.0], np.cumsum(losses)])
        left = self._samples - self._seen - np.arange(len(losses))
        # The mean of the samples not seen yet, were that of all of them just what is allowed.
        mean = before[:-1] / left
        odds = (losses - np.maximum(mean, -1)) / np.maximum(1 + mean, _ROUNDING)
        steps = np.log1p(_STAKES[:, None] * odds)
        capital = self._capital[:, None] + np.cumsum(steps, axis=1)
        mixed = np.logaddexp.reduce(capital, axis=0) - np.log(len(_STAKES))
        self.most = max(self.most, float(mixed.max(initial=0.0)))
        if (mean < -1 - _ROUNDING).any():
            self.most = float("inf")
        self._capital = capital[:, -1]
        self._sum = float(before[-1])
        self._seen += len(losses)

    def won(self, risk: float = RISK) -> bool:
        """Tell whether the mean is greater than allowed; wrongly so with probability ``risk``."""
        return bool(self.most >= -np.log(risk))


def lower_bound(losses: Floats, samples: int, *, risk: float = RISK) -> float:
    """Return what the mean loss of all samples is at least, with probability 1 − risk.

    Args:
        losses: float64 [seen], the losses of the first samples in the random order.
        samples: How many samples there are in all.
        risk: How often the bound may be wrong, however often it is asked for.

    The least allowance that is not refuted, found by bisection: the capital falls as it grows.
    """
    low, high = -1.0, 1.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        gambler = Gambler(samples, middle)
        gambler.bet(losses)
        if gambler.won(risk):
            low = middle
        else:
            high = middle
    return low
