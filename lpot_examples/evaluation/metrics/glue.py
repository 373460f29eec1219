"""The scores of the GLUE tasks.

Wang et al., "GLUE: a multi-task benchmark and analysis platform for natural language
understanding", ICLR 2019, table 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.arguments import ArgumentError
from lpot_examples.evaluation.metrics.base import AdditiveMetric, Floats, Metric, array, defined
from lpot_examples.evaluation.metrics.base import shapes as mismatch
from lpot_examples.evaluation.metrics.classes import Accuracy, class_indices
from lpot_examples.evaluation.result import EvaluationResult

TASKS = ("mrpc", "qqp", "qnli", "rte", "sts-b", "cola", "mnli", "wnli", "sst-2")
"""LPOT's names. All are scored by accuracy but ``cola`` (Matthews) and ``sts-b`` (correlation)."""


def glue(task: str = "mrpc") -> Metric:
    """Return the metric of a task.

    Args:
        task: One of `TASKS`.

    Raises:
        ArgumentError: If it is no task.
    """
    if task not in TASKS:
        raise ArgumentError(f"must be one of {', '.join(TASKS)}; got {task!r}.", "task")
    if task == "cola":
        return Matthews()
    return Correlation() if task == "sts-b" else Accuracy()


class Matthews(AdditiveMetric):
    """Matthews' correlation of a binary classification, in [−1, 1]; 0 where it is not defined.

    Predictions are the scores of both classes, [n, 2]; labels 0 or 1, [n].
    """

    title = "Matthews correlation"

    def rows(self, preds: Any, labels: Any) -> Floats:
        """Return each sample's cell of the confusion matrix: TP, FP, FN, TN."""
        scores, right = array(preds, "predictions"), array(labels, "labels")
        if scores.ndim != 2 or scores.shape[1] != 2 or len(right) != len(scores):
            raise mismatch(scores, right, self.title, "scores [n, 2] and labels [n] of 0 and 1")
        yes = scores.argmax(axis=1).astype(bool)
        truth = class_indices(right, 2, self.title).astype(bool)
        cells = (yes & truth, yes & ~truth, ~yes & truth, ~yes & ~truth)
        return np.stack(cells, 1).astype(np.float64)

    def score(self, total: Floats) -> float:
        """Return the correlation."""
        tp, fp, fn, tn = total
        scale = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        return float((tp * tn - fp * fn) / scale) if scale else 0.0


class Correlation(Metric):
    """The mean of Pearson's and Spearman's correlation, in [−1, 1].

    Predictions and labels are numbers, [n] or [n, 1].
    """

    title = "correlation"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._pairs: list[Floats] = []

    def update(self, preds: Any, labels: Any) -> None:
        """Take a batch; see `Metric.update`."""
        given, right = array(preds, "predictions"), array(labels, "labels")
        if given.size != right.size or not right.ndim or right.size != len(right):
            raise mismatch(given, right, self.title, "one number and one label for each sample")
        self._pairs.append(np.stack([given.ravel(), right.ravel()]).astype(np.float64))

    def evaluate(self) -> EvaluationResult:
        """Return the correlation, with what a bootstrap needs."""
        if not self._pairs:
            raise EvaluationError(f"{self.title} needs at least two samples; the data hold none.")
        given, right = np.concatenate(self._pairs, axis=1)

        def resample(indices: NDArray[np.int64]) -> float:
            return sum(_correlations(given[indices], right[indices])) / 2

        pearson, spearman = _correlations(given, right)
        return EvaluationResult(
            score=defined((pearson + spearman) / 2, self.title),
            metric=self.title,
            samples=len(given),
            details={"Pearson": pearson, "Spearman": spearman},
            resample=resample,
        )


def _correlations(one: Floats, two: Floats) -> tuple[float, float]:
    """Return Pearson's and Spearman's; NaN where one side is constant."""
    from scipy.stats import rankdata

    return _pearson(one, two), _pearson(rankdata(one), rankdata(two))


def _pearson(one: Any, two: Any) -> float:
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(two) == 0:
        return float("nan")
    return float(np.corrcoef(one, two)[0, 1])
