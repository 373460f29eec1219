"""What an evaluation returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """A score with, where the evaluation knows them, its parts.

    Attributes:
        score: The metric's value over all evaluated samples; finite.
        metric: The metric's name as it should be printed, such as ``mAP`` or ``top-1``.
        samples: How many samples were evaluated; 0 when the evaluation function did not say.
        per_sample: float64 [samples], one contribution per sample, whose mean is the score for
            decomposable metrics; None when the evaluation did not say.
        details: Further named scores, such as ``AP50``.
        resample: ``resample(indices) -> score``, the metric of a selection of the evaluated
            samples (int64 [any] indices; a sample drawn twice counts as two), for metrics that
            are no mean of per-sample scores; None otherwise. See `evaluation.bootstrap`.
    """

    score: float
    metric: str = "accuracy"
    samples: int = 0
    per_sample: NDArray[np.float64] | None = None
    details: dict[str, float] = field(default_factory=dict)
    resample: Callable[[NDArray[np.int64]], float] | None = field(default=None, repr=False)

    def __float__(self) -> float:
        return self.score


EvalFunc = Callable[[Any], Any]
"""``eval_func(model)`` returns a float, ``(float, per_sample)`` or an `EvaluationResult`."""


def as_result(returned: object) -> EvaluationResult:
    """Normalize what a user's ``eval_func`` returned.

    Args:
        returned: A number, ``(number, per_sample)`` or an `EvaluationResult`.

    Raises:
        EvaluationError: If it is anything else, or the score is not finite.
    """
    per_sample: NDArray[np.float64] | None = None
    if isinstance(returned, EvaluationResult):
        result = returned
    else:
        if isinstance(returned, tuple) and len(returned) == 2:
            returned, samples = returned
            per_sample = np.asarray(samples, dtype=np.float64).ravel()
        try:
            if returned is None or isinstance(returned, (str, bytes)):
                raise TypeError
            score = float(np.asarray(returned, dtype=np.float64).reshape(()))
        except (TypeError, ValueError):
            raise EvaluationError(
                "eval_func must return a number, or (number, per-sample scores); "
                f"it returned {_describe(returned)}. Return the metric, such as 0.76."
            ) from None
        count = 0 if per_sample is None else len(per_sample)
        result = EvaluationResult(score=score, samples=count, per_sample=per_sample)
    if not math.isfinite(result.score):
        raise EvaluationError(
            f"eval_func must return a finite number; it returned {result.score}. "
            "Look for a division by zero samples or a model that outputs NaN."
        )
    return result


def _describe(value: object) -> str:
    text = repr(value)
    return "None" if value is None else f"{type(value).__name__} {text[:60]}"
