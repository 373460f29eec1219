"""Metrics of classification: top-k, accuracy, F1 and ROC."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.arguments import ArgumentError
from lpot_examples.evaluation.metrics.base import (
    AdditiveMetric,
    Floats,
    Metric,
    RatioMetric,
    array,
    defined,
    shapes,
)
from lpot_examples.evaluation.metrics.topk import topk
from lpot_examples.evaluation.result import EvaluationResult


class TopK(RatioMetric):
    """The share of samples whose label is among the k highest scores.

    Predictions are scores [n, classes], axes of length 1 aside; labels class indices [n] or [n, 1],
    or one-hot [n, classes].

    Args:
        k: How many classes may be named, at least 1.
    """

    def __init__(self, k: int = 1) -> None:
        super().__init__()
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ArgumentError(f"must be an integer >= 1; got {k!r}.", "k")
        self._k = k
        self.title = f"top-{k}"

    def rows(self, preds: Any, labels: Any) -> Floats:
        """Return whether each sample is right, and 1."""
        scores, classes = array(preds, "predictions"), array(labels, "labels")
        number = len(classes) if classes.ndim else 0
        if scores.ndim < 2 or len(scores) != number:
            raise shapes(scores, classes, self.title, "scores [samples, classes] and their labels")
        scores = scores.reshape(number, -1)
        return _counted(topk(scores, class_indices(classes, scores.shape[1], self.title), self._k))


class Accuracy(RatioMetric):
    """The share of right answers.

    - Predictions [n, classes, ...] and labels [n, ...]: the highest score is the answer.
    - Both [n] or [n, 1]: classes, or probabilities of class 1, which are rounded.
    - Both [n, labels, ...]: every one of them is an answer, 0 or 1; probabilities are rounded.
    """

    title = "accuracy"

    def rows(self, preds: Any, labels: Any) -> Floats:
        """Return how many answers of each sample are right, and how many there are."""
        given, right = array(preds, "predictions"), array(labels, "labels")
        if given.ndim == right.ndim + 1 and given.ndim > 1 and given.shape[1] > 1:
            given = given.argmax(axis=1)
        elif given.shape != right.shape and given.size == right.size:
            given = given.reshape(right.shape)  # [n, 1] and [n]
        if not right.ndim or given.shape != right.shape:
            wanted = "predictions [n, classes, ...] or [n, ...] and labels [n, ...]"
            raise shapes(given, right, self.title, wanted)
        hits = (rounded(given) == rounded(right)).reshape(len(right), -1)
        return np.stack([hits.sum(axis=1), np.full(len(hits), hits.shape[1])], 1).astype(float)


class F1(AdditiveMetric):
    """F1 of a binary classification: the harmonic mean of precision and recall of class 1.

    Predictions are classes or probabilities of class 1, [n] or [n, 1], or the scores of both
    classes, [n, 2]; labels [n] or [n, 1], of 0 and 1. Without any positive it is 0.
    """

    title = "F1"

    def rows(self, preds: Any, labels: Any) -> Floats:
        """Return whether each sample is a true positive, a false positive, a false negative."""
        given, right = binary(preds, labels, self.title)
        yes = given >= 0.5
        return np.stack([yes & right, yes & ~right, ~yes & right], 1).astype(np.float64)

    def score(self, total: Floats) -> float:
        """Return 2 TP / (2 TP + FP + FN)."""
        true, false, missed = total
        return float(2 * true / max(2 * true + false + missed, 1))

    def details(self, total: Floats) -> dict[str, float]:
        """Return precision and recall."""
        true, false, missed = total
        return {
            "precision": float(true / max(true + false, 1)),
            "recall": float(true / max(true + missed, 1)),
        }


class Roc(Metric):
    """The area under the ROC curve of a binary classification; the accuracy is in the details.

    It is the share of pairs of a positive and a negative sample in which the positive one has the
    higher score; equal scores count half (Hanley and McNeil, "The meaning and use of the area
    under a receiver operating characteristic (ROC) curve", Radiology 143, 1982). Shapes are those
    of `F1`.

    Args:
        task: LPOT's name of the network; all are scored the same way.
    """

    title = "ROC AUC"

    def __init__(self, task: str = "dlrm") -> None:
        tasks = ("dlrm", "dien", "wide_deep")
        if task not in tasks:
            raise ArgumentError(f"must be one of {', '.join(tasks)}; got {task!r}.", "task")
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._scores: list[Floats] = []
        self._right: list[NDArray[np.bool_]] = []

    def update(self, preds: Any, labels: Any) -> None:
        """Take a batch; see `Metric.update`."""
        scores, right = binary(preds, labels, self.title)
        self._scores.append(scores)
        self._right.append(right)

    def evaluate(self) -> EvaluationResult:
        """Return the area, with what a bootstrap needs."""
        if not self._scores:
            raise EvaluationError(f"{self.title} needs at least one sample; the data hold none.")
        scores, right = np.concatenate(self._scores), np.concatenate(self._right)
        values, rank = np.unique(scores, return_inverse=True)

        def area(weights: Floats) -> float:
            positive = np.bincount(rank, weights * right, minlength=len(values))
            negative = np.bincount(rank, weights * ~right, minlength=len(values))
            below = np.cumsum(negative) - negative / 2
            pairs = positive.sum() * negative.sum()
            return float(positive @ below / pairs) if pairs else float("nan")

        def resample(indices: NDArray[np.int64]) -> float:
            return area(np.bincount(indices, minlength=len(scores)).astype(np.float64))

        return EvaluationResult(
            score=defined(area(np.ones(len(scores))), self.title),
            metric=self.title,
            samples=len(scores),
            details={"accuracy": float(((scores >= 0.5) == right).mean())},
            resample=resample,
        )


def class_indices(labels: NDArray[Any], classes: int, title: str) -> NDArray[np.int64]:
    """Return labels as class indices, int64 [n].

    Args:
        labels: [n] or [n, 1] indices, or [n, classes] one-hot.
        classes: How many classes there are.
        title: The metric's, for the message.

    Raises:
        EvaluationError: If they are neither.
    """
    flat = labels.reshape(len(labels), -1)
    if flat.shape[1] == classes > 1:
        return np.asarray(flat.argmax(axis=1), dtype=np.int64)
    if flat.shape[1] != 1 or not np.array_equal(flat, rounded(flat)):
        raise EvaluationError(
            f"{title} needs labels that are class indices [n], or one-hot [n, {classes}]; they are "
            f"{labels.dtype} {list(labels.shape)}. Check the dataset."
        )
    return flat[:, 0].astype(np.int64)


def rounded(values: NDArray[Any]) -> NDArray[Any]:
    """Return the nearest whole numbers, 0.5 up; what is not floating stays as it is."""
    return np.floor(values + 0.5) if values.dtype.kind == "f" else values


def binary(preds: Any, labels: Any, title: str) -> tuple[Floats, NDArray[np.bool_]]:
    """Return scores of class 1, float64 [n], and whether it is right, bool [n].

    Of the scores of two classes it is 1 or 0, or the probability where they are probabilities.

    Raises:
        EvaluationError: If the shapes do not fit, or a label is neither 0 nor 1.
    """
    given, right = array(preds, "predictions"), array(labels, "labels")
    wanted = "predictions [n], [n, 1] or [n, 2] and labels [n] of 0 and 1"
    if not right.ndim or right.size != len(right) or not np.isin(right, (0, 1)).all():
        raise shapes(given, right, title, wanted)
    number = len(right)
    if given.size == number:
        scores = given.reshape(number).astype(np.float64)
    elif given.size == 2 * number and len(given) == number:
        both = given.reshape(number, 2).astype(np.float64)
        scores = _of_two(both)
    else:
        raise shapes(given, right, title, wanted)
    return scores, right.reshape(number).astype(bool)


def _of_two(both: Floats) -> Floats:
    """Return class 1's probability; scores of any other kind become one by softmax."""
    if (both >= 0).all() and np.allclose(both.sum(axis=1), 1, atol=1e-3):
        return both[:, 1]
    from scipy.special import expit

    return np.asarray(expit(both[:, 1] - both[:, 0]), dtype=np.float64)


def _counted(scores: Floats) -> Floats:
    return np.stack([scores, np.ones(len(scores))], 1)
