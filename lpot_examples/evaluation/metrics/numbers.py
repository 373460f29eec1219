"""Metrics of regression: MAE, MSE, RMSE, and the mean of outputs that are losses themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.evaluation.metrics.arguments import ArgumentError
from lpot_examples.evaluation.metrics.base import AdditiveMetric, Floats, RatioMetric, array, shapes


class _Errors(RatioMetric):
    """A mean over all elements of all samples.

    Predictions and labels have the same shape, axes of length 1 aside; of several outputs each has
    its labels.

    Args:
        compare_label: False to compare with the fp32 model's outputs in place of labels.
    """

    higher_is_better = False

    def __init__(self, compare_label: bool = True) -> None:
        super().__init__()
        if not isinstance(compare_label, bool):
            raise ArgumentError(f"must be true or false; got {compare_label!r}.", "compare_label")
        self.needs_reference = not compare_label

    def of(self, difference: Floats) -> Floats:
        """Return the error of each element."""
        return difference * difference

    def rows(self, preds: Any, labels: Any) -> Floats:
        """Return the sum of each sample's errors and how many there are."""
        rows = np.zeros((0, 2))
        for given, right in _pairs(preds, labels, self.title):
            errors = self.of(given - right)
            counts = np.full(len(errors), errors.shape[1])
            found = np.stack([errors.sum(axis=1), counts], 1)
            rows = rows + found if len(rows) else found
        return rows


class MAE(_Errors):
    """Mean absolute error; see `_Errors` for shapes and arguments."""

    title = "MAE"

    def of(self, difference: Floats) -> Floats:
        """Return the error of each element."""
        return np.abs(difference)


class MSE(_Errors):
    """Mean squared error; see `_Errors` for shapes and arguments."""

    title = "MSE"


class RMSE(_Errors):
    """Root of the mean squared error, which is no mean over samples; see `_Errors`."""

    title = "RMSE"

    def score(self, total: Floats) -> float:
        """Return the root of the mean."""
        return float(np.sqrt(super().score(total)))

    own_scores = AdditiveMetric.own_scores


class Loss(RatioMetric):
    """The mean of predictions that are losses; labels only tell how many samples there are.

    Predictions are [n, ...], or one number for the batch.
    """

    title = "loss"
    higher_is_better = False

    def rows(self, preds: Any, labels: Any) -> Floats:
        """Return each sample's mean prediction and 1; of one number, the number for each."""
        losses = array(preds, "predictions").astype(np.float64)
        if losses.ndim == 0 or losses.size == 1:
            number = max(_length(labels), 1)
            return np.stack([np.full(number, float(losses.reshape(()))), np.ones(number)], 1)
        each = losses.reshape(len(losses), -1).mean(axis=1)
        return np.stack([each, np.ones(len(each))], 1)


def _length(labels: Any) -> int:
    try:
        return len(labels)
    except TypeError:
        return 1


def _pairs(preds: Any, labels: Any, title: str) -> list[tuple[Floats, Floats]]:
    """Return predictions and labels as float64 [n, elements], one pair for each output."""
    several = isinstance(preds, (list, tuple)) and len(preds) > 1
    aligned = several and isinstance(labels, (list, tuple)) and len(labels) == len(preds)
    pairs = zip(preds, labels, strict=True) if aligned else [(preds, labels)]
    found = []
    for given, right in pairs:
        one, two = array(given, "predictions"), array(right, "labels")
        if not _same(one, two):
            raise shapes(one, two, title, "predictions and labels of the same shape")
        rows = (len(two) if two.ndim else 1, -1)
        found.append((one.astype(np.float64).reshape(rows), two.astype(np.float64).reshape(rows)))
    return found


def _same(one: NDArray[Any], two: NDArray[Any]) -> bool:
    first, second = ([side for side in each.shape if side != 1] for each in (one, two))
    numbers = one.dtype.kind in "biuf" and two.dtype.kind in "biuf"
    return numbers and one.size == two.size and first == second
