import numpy as np
import pytest

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.topk import topk


def test_matches_a_stable_sort():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (200, 10)).astype(np.float32)  # many equal scores
    labels = rng.integers(0, 10, 200)
    for k in (1, 3, 5):
        first = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        assert topk(scores, labels, k).tolist() == [
            float(label in row) for label, row in zip(labels, first, strict=True)
        ]


def test_a_collapsed_network_is_not_right():
    labels = np.arange(10)
    assert topk(np.zeros((10, 10)), labels, 1).sum() == 1
    assert topk(np.full((10, 10), np.nan), labels, 5).sum() == 0


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros((2, 3, 4)), np.zeros(2, int), r"\[2, 3, 4\]"),
        (np.zeros((2, 3)), np.zeros(3, int), r"\[3\]"),
        (np.zeros((2, 3)), np.array([0, 3]), r"\[0, 3\)"),
        (np.zeros((2, 3)), np.array([-1, 0]), r"\[-1, 0\]"),
    ],
)
def test_what_does_not_fit_is_an_error(scores, labels, message):
    with pytest.raises(EvaluationError, match=message):
        topk(scores, labels, 1)
