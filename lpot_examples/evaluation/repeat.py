"""Whether an evaluation gives the same result twice.

An evaluation that shuffles, augments or drops out makes one model pass and its twin fail. A few
samples are therefore evaluated a second time where the evaluation can be stopped early; where it
gives one number only, a whole evaluation is repeated, by whoever can afford it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.evaluation.evaluator import Evaluator
from lpot_examples.evaluation.evidence import Evidence

# A twentieth of the samples, at least and at most as many as these.
_SHARE, _FEWEST, _MOST = 20, 16, 128


@dataclass(frozen=True, kw_only=True)
class Repeatability:
    """What evaluating a model twice showed.

    Attributes:
        samples: How many samples were evaluated again; 0 where that is not known.
        evaluated: Share of the validation set that was, in (0, 1].
        differing: How many of them scored differently; None where only scores are known.
        spread: How far apart two evaluations of one model are on all samples, metric's unit: the
            difference found, or its standard deviation as estimated from the samples.
    """

    samples: int
    evaluated: float
    differing: int | None
    spread: float

    @property
    def text(self) -> str:
        """One sentence."""
        if self.spread == 0:
            return "a second evaluation gave the same result"
        if self.differing is None:
            return f"two evaluations of the same model differ by {self.spread:.3g}"
        return (
            f"{self.differing} of {self.samples} samples scored differently when evaluated again; "
            f"scores of the same model vary by about {self.spread:.3g}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Repeatability:
        """Undo `to_dict`; other keys do not matter."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__})


class _Sample:
    """A `racing.Monitor` that ends an evaluation after a few samples and keeps their scores."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.scores: list[float] = []
        self.indices: list[int] = []

    def order(self, samples: int) -> NDArray[np.int64]:
        """Return a random order, so that the samples are of all parts of the dataset."""
        return np.random.default_rng(samples).permutation(samples)

    def __call__(
        self,
        scores: Sequence[float] | NDArray[np.float64],
        indices: Sequence[int] | NDArray[np.int64],
    ) -> bool:
        """Keep a batch; True when there are enough."""
        self.scores += [float(one) for one in scores]
        self.indices += [int(one) for one in indices]
        return len(self.scores) >= self._wanted


def evaluate_again(
    evaluator: Evaluator, model: Any, evidence: Evidence | None
) -> Repeatability | None:
    """Evaluate a twentieth of the samples again and compare.

    Args:
        evaluator: Scores models.
        model: One that was evaluated.
        evidence: What that gave.

    Returns:
        None where the evaluation cannot be stopped early or does not report sample by sample.

    Raises:
        EvaluationError: If the second evaluation fails.
    """
    if evidence is None or evidence.per_sample is None or not evaluator.monitored:
        return None
    total = evidence.samples
    monitor = _Sample(min(total, max(_FEWEST, min(_MOST, total // _SHARE))))
    evaluator(model, None, monitor)
    seen = len(monitor.indices)
    if seen < 1 or not 0 <= min(monitor.indices) <= max(monitor.indices) < total:
        return None
    difference = np.asarray(monitor.scores) - evidence.per_sample[monitor.indices]
    return Repeatability(
        samples=seen,
        evaluated=seen / total,
        differing=int(np.count_nonzero(difference)),
        spread=math.sqrt(float(np.mean(difference**2)) / total),
    )


def compare_scores(first: float, second: float, samples: int) -> Repeatability:
    """Compare two whole evaluations of one model that gave one number each."""
    return Repeatability(samples=samples, evaluated=1.0, differing=None, spread=abs(first - second))
