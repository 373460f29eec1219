"""What a metric is: LPOT's ``update``, ``reset`` and ``result``, and the parts of its score.

Batches stream through a metric; what it keeps of a sample is a few numbers. From those come the
per-sample scores, where the score is their mean, or ``resample``, which scores any selection of the
samples; the interval of the drop needs one of the two (docs/accuracy.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.result import EvaluationResult

Floats = NDArray[np.float64]


class Metric(ABC):
    """One metric.

    Attributes:
        title: Its name as it is printed.
        higher_is_better: Whether a greater score is a better one; None where only the user knows.
        needs_reference: Whether the fp32 model's outputs take the place of labels.
        by_batch: Whether `update` tells the scores of the batch, where the score is their mean.
    """

    title: str = "metric"
    higher_is_better: bool | None = True
    needs_reference: bool = False
    by_batch: bool = False

    @abstractmethod
    def update(self, preds: Any, labels: Any) -> Floats | None:
        """Take a batch.

        Args:
            preds: What the model gave: an array, or a tuple of arrays in the order of its outputs.
            labels: What the dataloader gave beside the inputs.

        Returns:
            float64 [samples of the batch], their scores, if the score is the mean of such; else
            None.

        Raises:
            EvaluationError: If predictions and labels do not fit together.
        """

    @abstractmethod
    def reset(self) -> None:
        """Forget all batches."""

    @abstractmethod
    def evaluate(self) -> EvaluationResult:
        """Return the score of all batches since the last reset, with its parts.

        Raises:
            EvaluationError: If there were none, or the score is not defined for them.
        """

    def result(self) -> float:
        """Return the score alone."""
        return self.evaluate().score

    def expect(self, outputs: Sequence[str]) -> None:
        """Be told the names of the model's outputs, where they are known, before its batches."""
        del outputs


class AdditiveMetric(Metric):
    """A score that is a function of sums over the samples, such as F1 of three counts."""

    by_batch = True

    def __init__(self) -> None:
        self._rows: list[Floats] = []

    @abstractmethod
    def rows(self, preds: Any, labels: Any) -> Floats:
        """Return float64 [samples, S], what each sample adds to the S sums."""

    @abstractmethod
    def score(self, total: Floats) -> float:
        """Return the score of the sums, float64 [S]; NaN where it is not defined."""

    def own_scores(self, rows: Floats) -> Floats | None:
        """Return the samples' own scores, whose mean is the score; None if it is no mean."""
        del rows
        return None

    def details(self, total: Floats) -> dict[str, float]:
        """Return further scores by name."""
        del total
        return {}

    def update(self, preds: Any, labels: Any) -> Floats | None:
        """Take a batch; see `Metric.update`."""
        rows = self.rows(preds, labels)
        self._rows.append(rows)
        return self.own_scores(rows)

    def reset(self) -> None:
        """Forget all batches."""
        self._rows = []

    def evaluate(self) -> EvaluationResult:
        """Return the score of all batches since the last reset, with its parts."""
        rows = np.concatenate(self._rows) if self._rows else np.empty((0, 0))
        if not len(rows):
            raise EvaluationError(f"{self.title} needs at least one sample; the data hold none.")
        total = rows.sum(axis=0)
        own = self.own_scores(rows)

        def resample(indices: NDArray[np.int64]) -> float:
            weights = np.bincount(indices, minlength=len(rows)).astype(np.float64)
            return self.score(weights @ rows)

        return EvaluationResult(
            score=defined(self.score(total), self.title),
            metric=self.title,
            samples=len(rows),
            per_sample=own,
            details=self.details(total),
            resample=resample if own is None else None,
        )


class RatioMetric(AdditiveMetric):
    """A mean: the sum of what samples score by the sum of what they count."""

    def score(self, total: Floats) -> float:
        """Return the mean."""
        return float(total[0] / total[1]) if total[1] else float("nan")

    def own_scores(self, rows: Floats) -> Floats | None:
        """Return each sample's mean, if all samples count the same."""
        counts = rows[:, 1]
        if not len(rows) or counts[0] == 0 or np.ptp(counts) > 0:
            return None
        return np.asarray(rows[:, 0] / counts[0])


def defined(score: float, title: str) -> float:
    """Return a score that is a number.

    Raises:
        EvaluationError: If it is NaN.
    """
    if np.isnan(score):
        raise EvaluationError(
            f"{title} is not defined for these samples, such as for labels that are all alike. "
            "Evaluate more samples, or check the labels."
        )
    return score


def array(value: Any, what: str) -> NDArray[Any]:
    """Return one array.

    Args:
        value: An array, a number or nested lists; a list or tuple of one array is that array.
        what: ``predictions`` or ``labels``, for the message.

    Raises:
        EvaluationError: If it is several arrays of different shapes.
    """
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        found = np.empty(0, dtype=object)
    if found.dtype == object:
        raise EvaluationError(
            f"the metric needs the {what} as one array; they are {type(value).__name__} of parts "
            "of different shapes. Name the one output in model.outputs, or use another metric."
        )
    return found


def shapes(preds: NDArray[Any], labels: NDArray[Any], title: str, wanted: str) -> EvaluationError:
    """Return the error of predictions and labels that do not fit together, for the caller."""
    return EvaluationError(
        f"{title} needs {wanted}; the predictions are {preds.dtype} {list(preds.shape)} and the "
        f"labels {labels.dtype} {list(labels.shape)}. Check the model's output and the dataset."
    )
