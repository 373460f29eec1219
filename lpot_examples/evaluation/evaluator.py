"""Calls a user's evaluation function and checks what it returns."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.calibration.feed import describe
from lpot_examples.errors import EvaluationError, LpotError
from lpot_examples.evaluation.racing import Monitor
from lpot_examples.evaluation.result import EvaluationResult, as_result

Progress = Callable[[int, int], None]


class Evaluator:
    """An evaluation function whose every failure is one clear `EvaluationError`.

    Args:
        function: ``eval_func(model)``. If it accepts ``progress``, it is called with a function of
            (samples done, samples in all); if it accepts ``monitor``, with a `racing.Monitor`, so
            that hopeless models are not evaluated to the end. An attribute ``samples``, where
            there is one, is the size of the validation set.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise EvaluationError(
                "eval_func must be a function of the model that returns its score; got "
                f"{type(function).__name__}."
            )
        self._function = function
        self._accepted = _keywords(function)

    @property
    def samples(self) -> int:
        """Size of the validation set, 0 if unknown."""
        return int(getattr(self._function, "samples", 0) or 0)

    @property
    def monitored(self) -> bool:
        """Whether evaluations report sample by sample and can be stopped."""
        return "monitor" in self._accepted

    def __call__(
        self, model: Any, progress: Progress | None = None, monitor: Monitor | None = None
    ) -> EvaluationResult:
        """Score a model.

        Args:
            model: The model.
            progress: Told (samples done, samples in all), if the function reports that.
            monitor: May stop the evaluation, if the function supports it; what is returned then is
                no score of the whole validation set.

        Raises:
            EvaluationError: If the function raises or returns no finite score.
        """
        offered = {"progress": progress, "monitor": monitor}
        arguments = {
            name: value
            for name, value in offered.items()
            if value is not None and name in self._accepted
        }
        try:
            returned = self._function(model, **arguments)
        except LpotError:
            raise
        except (Exception, SystemExit) as error:
            raise EvaluationError(f"eval_func raised {describe(error)}.") from error
        return _checked(returned)

    def fingerprint(self) -> str:
        """Return a hash of the function's source, so that a changed one is not resumed.

        An attribute ``identity``, where there is one, adds what the source does not tell.
        """
        target = getattr(self._function, "__func__", self._function)
        if not inspect.isroutine(target):
            target = type(target)
        try:
            source = inspect.getsource(target)
        except (OSError, TypeError):
            source = getattr(target, "__qualname__", repr(type(target)))
        source += str(getattr(self._function, "identity", ""))
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
            per_sample=_numbers(result.per_sample),
        )
    except (TypeError, ValueError) as error:
        raise EvaluationError(
            "eval_func must return a number, or (number, per-sample numbers); what it returned "
            f"cannot be read as that: {error}."
        ) from error


def _numbers(per_sample: Any) -> NDArray[np.float64] | None:
    return None if per_sample is None else np.asarray(per_sample, dtype=np.float64).ravel()


def _keywords(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of a function's parameters; none where they cannot be known."""
    try:
        return frozenset(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return frozenset()
