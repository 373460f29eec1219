"""Calls a user's evaluation function and checks what it returns."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lpot_examples.calibration.feed import describe
from lpot_examples.errors import EvaluationError, LpotError
from lpot_examples.evaluation.result import EvaluationResult, as_result

Progress = Callable[[int, int], None]


class Evaluator:
    """An evaluation function whose every failure is one clear `EvaluationError`.

    Args:
        function: ``eval_func(model)``. If it accepts ``progress``, it is called with a function of
            (samples done, samples in all). An attribute ``samples``, where there is one, is the
            size of the validation set.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise EvaluationError(
                "eval_func must be a function of the model that returns its score; got "
                f"{type(function).__name__}."
            )
        self._function = function
        self._reports = _accepts_progress(function)

    @property
    def samples(self) -> int:
        """Size of the validation set, 0 if unknown."""
        return int(getattr(self._function, "samples", 0) or 0)

    def __call__(self, model: Any, progress: Progress | None = None) -> EvaluationResult:
        """Score a model.

        Raises:
            EvaluationError: If the function raises or returns no finite score.
        """
        arguments = {"progress": progress} if self._reports and progress is not None else {}
        try:
            returned = self._function(model, **arguments)
        except LpotError:
            raise
        except (Exception, SystemExit) as error:
            raise EvaluationError(f"eval_func raised {describe(error)}.") from error
        return _checked(returned)

    def fingerprint(self) -> str:
        """Return a hash of the function's source, so that a changed one is not resumed."""
        target = getattr(self._function, "__func__", self._function)
        if not inspect.isroutine(target):
            target = type(target)
        try:
            source = inspect.getsource(target)
        except (OSError, TypeError):
            source = getattr(target, "__qualname__", repr(type(target)))
        return hashlib.sha256(source.encode()).hexdigest()[:16]


def _checked(returned: object) -> EvaluationResult:
    """Return a result whose fields have the types they promise."""
    try:
        result = as_result(returned)
        return replace(
            result,
            score=float(result.score),
            metric=str(result.metric),
            samples=int(result.samples),
        )
    except (TypeError, ValueError) as error:
        raise EvaluationError(
            "eval_func must return a number, or (number, per-sample numbers); what it returned "
            f"cannot be read as that: {error}."
        ) from error


def _accepts_progress(function: Callable[..., Any]) -> bool:
    try:
        return "progress" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
