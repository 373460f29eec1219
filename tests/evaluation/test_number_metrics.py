"""MAE, MSE, RMSE, the mean of losses, and mIOU."""

import numpy as np
import pytest
from sklearn import metrics as reference

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.registry import make_metric

RNG = np.random.default_rng(6)
TRUE = RNG.normal(size=(40, 3))
GIVEN = TRUE + RNG.normal(size=(40, 3)) / 3


def fed(name, pairs, arguments=None):
    metric = make_metric(name, arguments or {})
    scores = [metric.update(preds, labels) for preds, labels in pairs]
    return metric.evaluate(), scores


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MAE", reference.mean_absolute_error(TRUE, GIVEN)),
        ("MSE", reference.mean_squared_error(TRUE, GIVEN)),
        ("RMSE", reference.root_mean_squared_error(TRUE.ravel(), GIVEN.ravel())),
    ],
)
def test_errors(name, expected):
    result, scores = fed(name, [(GIVEN[:15], TRUE[:15]), (GIVEN[15:], TRUE[15:, None])])
    assert result.score == pytest.approx(expected)
    assert result.metric == name
    if name == "RMSE":
        assert result.per_sample is None
        assert scores == [None, None]
        assert result.resample(np.arange(40)) == pytest.approx(expected)
        assert result.resample(np.zeros(40, int)) == pytest.approx(
            reference.root_mean_squared_error(TRUE[0], GIVEN[0])
        )
    else:
        assert np.concatenate(scores) == pytest.approx(result.per_sample)
        assert result.per_sample.mean() == pytest.approx(expected)


def test_samples_of_different_sizes_weigh_by_their_elements():
    pairs = [(np.zeros((2, 5)), np.ones((2, 5))), (np.zeros((1, 2)), 3 * np.ones((1, 2)))]
    result, _ = fed("MAE", pairs)
    assert result.score == pytest.approx((10 * 1 + 2 * 3) / 12)
    assert result.per_sample is None  # their mean would be another number
    assert result.resample(np.arange(3)) == pytest.approx(result.score)


def test_several_outputs_have_labels_each():
    result, _ = fed("MSE", [((GIVEN, GIVEN[:, :1]), (TRUE, TRUE[:, :1]))])
    squares = np.concatenate([(GIVEN - TRUE).ravel(), (GIVEN - TRUE)[:, 0]]) ** 2
    assert result.score == pytest.approx(squares.mean())
    assert len(result.per_sample) == 40


def test_shapes_that_do_not_fit():
    with pytest.raises(EvaluationError, match=r"float64 \[40, 3\].*\[3, 40\]"):
        fed("MSE", [(GIVEN, TRUE.T)])
    with pytest.raises(EvaluationError, match="one array"):
        fed("MAE", [((GIVEN, GIVEN[:2]), TRUE)])
    with pytest.raises(EvaluationError, match="same shape"):
        fed("MAE", [(np.array(["a", "b"]), np.zeros(2))])


def test_loss():
    result, _ = fed("Loss", [(np.array([1.0, 2.0]), np.zeros(2)), (np.float32(5), np.zeros(2))])
    assert result.score == pytest.approx((1 + 2 + 5 + 5) / 4)
    assert result.samples == 4


def test_mean_intersection_over_union():
    classes = 5
    labels = RNG.integers(0, classes, (6, 8, 8))
    preds = np.where(RNG.random(labels.shape) < 0.3, RNG.integers(0, classes, labels.shape), labels)
    labels[:, 0] = 255  # not labelled
    preds[0, 1, 1] = 77  # a class that does not exist
    inside = labels < classes
    table = np.zeros((classes, classes + 1))
    np.add.at(table, (labels[inside], np.minimum(preds[inside], classes)), 1)
    both = np.diag(table[:, :classes])
    union = table.sum(axis=1) + table[:, :classes].sum(axis=0) - both
    pairs = [(preds[:4], labels[:4]), (preds[4:, ..., None], labels[4:])]
    result, _ = fed("mIOU", pairs, classes)
    assert result.score == pytest.approx((both / union).mean())
    assert result.samples == 6
    assert result.resample(np.arange(6)) == pytest.approx(result.score)
    assert result.resample([0, 0, 1]) != pytest.approx(result.score, abs=1e-6)


def test_mean_intersection_over_union_of_scores_and_absent_classes():
    scores = RNG.normal(size=(2, 4, 4, 21))
    labels = scores.argmax(axis=-1)
    result, _ = fed("mIOU", [(scores, labels)])
    assert result.score == 1  # of the classes that are there
    with pytest.raises(EvaluationError, match="not defined"):
        fed("mIOU", [(labels, np.full_like(labels, 255))])
    with pytest.raises(EvaluationError, match=r"scores \[n, height, width, 21\]"):
        fed("mIOU", [(scores[..., :20], labels)])
