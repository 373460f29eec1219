"""Mean intersection over union of a segmentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from lpot_examples.evaluation.metrics.arguments import ArgumentError
from lpot_examples.evaluation.metrics.base import AdditiveMetric, Floats, array, shapes


class MeanIoU(AdditiveMetric):
    """The mean over classes of intersection / union, of the pixels of all images.

    Predictions are class indices [n, ...], or scores with the classes last, [n, ..., classes];
    labels class indices [n, ...]. Pixels whose label is not in [0, classes), such as 255, do not
    count; classes that are nowhere, neither predicted nor labelled, neither. Of an image are kept
    the diagonal and the sums of its confusion matrix, which is all that the score needs.

    Args:
        num_classes: How many classes there are.
    """

    title = "mIOU"

    def __init__(self, num_classes: int = 21) -> None:
        super().__init__()
        if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
            raise ArgumentError(f"must be an integer >= 1; got {num_classes!r}.", "num_classes")
        self._classes = num_classes

    def rows(self, preds: Any, labels: Any) -> Floats:
        """Return of each image the intersections, then the unions, float64 [n, 2 · classes]."""
        given, right = array(preds, "predictions"), array(labels, "labels")
        if given.size == right.size * self._classes and given.shape[-1] == self._classes > 1:
            given = given.argmax(axis=-1)
        if not right.ndim or given.size != right.size or len(given) != len(right):
            wanted = f"classes [n, height, width] or scores [n, height, width, {self._classes}]"
            raise shapes(given, right, self.title, f"{wanted} and labels [n, height, width]")
        pairs = zip(given.reshape(len(right), -1), right.reshape(len(right), -1), strict=True)
        return np.stack([self._row(one, two) for one, two in pairs])

    def _row(self, given: Any, right: Any) -> Floats:
        labelled = (right >= 0) & (right < self._classes)
        given, right = given[labelled].astype(np.int64), right[labelled].astype(np.int64)
        possible = (given >= 0) & (given < self._classes)
        counts = [
            np.bincount(values, minlength=self._classes)
            for values in (right[given == right], given[possible], right)
        ]
        both, predicted, labels = counts
        return np.concatenate([both, predicted + labels - both]).astype(np.float64)

    def score(self, total: Floats) -> float:
        """Return the mean over the classes that are there."""
        both, union = total[: self._classes], total[self._classes :]
        there = union > 0
        return float((both[there] / union[there]).mean()) if there.any() else float("nan")
