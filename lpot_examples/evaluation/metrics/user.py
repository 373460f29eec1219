"""A user's metric, written to LPOT's conventions."""

from __future__ import annotations

from typing import Any

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.base import Metric
from lpot_examples.evaluation.result import EvaluationResult, as_result


class UserMetric(Metric):
    """Wraps an object with ``update(preds, labels)``, ``reset()`` and ``result()``.

    Args:
        wrapped: The object; ``higher_is_better`` is read from it where it has that.
        name: What it is called.

    Attributes:
        wrapped: As given.

    Raises:
        EvaluationError: If it lacks one of the methods.
    """

    def __init__(self, wrapped: Any, name: str) -> None:
        missing = [one for one in ("update", "reset", "result") if not _callable(wrapped, one)]
        if missing:
            raise EvaluationError(
                f"the metric '{name}' must have update(preds, labels), reset() and result(); "
                f"{type(wrapped).__name__} lacks {', '.join(missing)}."
            )
        self.title = name
        self.higher_is_better = getattr(wrapped, "higher_is_better", None)
        self.wrapped = wrapped
        self._updates = 0

    def update(self, preds: Any, labels: Any) -> None:
        """Take a batch; see `Metric.update`."""
        self.wrapped.update(preds, labels)
        self._updates += 1

    def reset(self) -> None:
        """Forget all batches."""
        self.wrapped.reset()
        self._updates = 0

    def evaluate(self) -> EvaluationResult:
        """Return what ``result`` returns."""
        if not self._updates:
            raise EvaluationError(f"{self.title} needs at least one sample; the data hold none.")
        found = as_result(self.wrapped.result())
        named = self.title if found.metric == EvaluationResult(score=0.0).metric else found.metric
        return EvaluationResult(
            score=found.score,
            metric=named,
            samples=found.samples,
            per_sample=found.per_sample,
            details=found.details,
            resample=found.resample,
        )


def _callable(wrapped: Any, name: str) -> bool:
    return callable(getattr(wrapped, name, None))
