"""Top-k correctness of classification scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError


def topk(scores: NDArray[Any], labels: NDArray[Any], k: int) -> NDArray[np.float64]:
    """Tell for each sample whether its label is among the k highest scores.

    Equal scores rank by class index, so a network that gives every class the same score is right
    only for the first k classes. A label whose score is NaN is never correct.

    Args:
        scores: [N, C], one score per class; higher is likelier.
        labels: integer [N], the correct class, in [0, C).
        k: How many classes may be named, at least 1.

    Returns:
        float64 [N]: 1 where the label is among the first k, else 0.

    Raises:
        EvaluationError: If the shapes do not fit together or a label is out of range.
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise EvaluationError(
            "top-k needs scores [samples, classes] and labels [samples]; they are "
            f"{list(scores.shape)} and {list(labels.shape)}. Check the model's output."
        )
    classes = scores.shape[1]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise EvaluationError(
            f"Labels must be in [0, {classes}), as the model scores {classes} classes; they are "
            f"in [{labels.min()}, {labels.max()}]. Check the model's output or the label shift."
        )
    own = np.take_along_axis(scores, labels[:, None].astype(np.int64), axis=1)
    earlier = np.arange(classes) < labels[:, None]
    above = (scores > own) | (earlier & (scores == own)) | np.isnan(scores)
    correct = (above.sum(axis=1) < k) & ~np.isnan(own[:, 0])
    return np.asarray(correct, dtype=np.float64)
