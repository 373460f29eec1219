"""What an evaluation returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
        scores: Every metric by name where there are several; ``score`` is then the first.
    """

    score: float
    metric: str = "accuracy"
    samples: int = 0
    per_sample: NDArray[np.float64] | None = None
    details: dict[str, float] = field(default_factory=dict)
    resample: Callable[[NDArray[np.int64]], float] | None = field(default=None, repr=False)
    scores: Mapping[str, float] = field(default_factory=dict)

    def __float__(self) -> float:
        return self.score


EvalFunc = Callable[[Any], Any]
"""``eval_func(model)`` returns a float, ``(float, per_sample)`` or an `EvaluationResult`; of
several metrics a list or tuple of floats, or a dict of names and floats."""


def as_result(returned: object) -> EvaluationResult:
    """Normalize what a user's ``eval_func`` returned.

    Args:
        returned: See `EvalFunc`. A tuple of a number and an array or list is a score with its
            per-sample scores, one of plain numbers several metrics.

    Raises:
        EvaluationError: If it is anything else, or the score is not finite.
    """
    per_sample: NDArray[np.float64] | None = None
    if isinstance(returned, EvaluationResult):
        result = returned
    elif several := _several(returned):
        result = EvaluationResult(score=next(iter(several.values())), scores=several)
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
    unfit = [score for score in (result.score, *result.scores.values()) if not _finite(score)]
    if unfit:
        raise EvaluationError(
            f"eval_func must return a finite number; it returned {unfit[0]}. "
            "Look for a division by zero samples or a model that outputs NaN."
        )
    return result


def _several(returned: object) -> dict[str, float]:
    """Return the metrics by name if these are several, or named; else nothing."""
    if isinstance(returned, Mapping):
        pairs = [(str(name), value) for name, value in returned.items()]
    elif isinstance(returned, (list, tuple)) and len(returned) > 1:
        pairs = [(f"metric {number}", value) for number, value in enumerate(returned, 1)]
    else:
        return {}
    if not all(np.ndim(value) == 0 and _is_number(value) for _, value in pairs):
        return {}
    return {name: float(value) for name, value in pairs}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) or (
        isinstance(value, np.ndarray) and value.dtype.kind in "iuf"
    )


def _finite(score: object) -> bool:
    return math.isfinite(score)  # type: ignore[arg-type]


def _describe(value: object) -> str:
    text = repr(value)
    return "None" if value is None else f"{type(value).__name__} {text[:60]}"
