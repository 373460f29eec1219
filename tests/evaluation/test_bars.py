"""Several metrics, each with a bar, and what eval_func may return of them."""

import numpy as np
import pytest

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.bars import Bars
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.result import as_result

FP32 = as_result({"top1": 0.8, "error": 2.0})
OWN = (Criterion(relative=0.01), Criterion(relative=0.1, higher_is_better=False))
BOTH = Bars(criterion=Criterion(), names=("top1", "error"), own=OWN)


def judge(bars, *scores):
    return bars.judge(FP32, as_result(list(scores)))


@pytest.mark.parametrize(
    "returned", [[0.8, 2], (np.float32(0.8), 2.0), {"a": 0.8, "b": np.array(2.0)}]
)
def test_several_scores(returned):
    result = as_result(returned)
    assert list(result.scores.values()) == pytest.approx([0.8, 2.0])
    assert result.score == pytest.approx(0.8)


def test_a_score_with_its_samples_is_one_metric():
    result = as_result((0.5, [0, 1]))
    assert not result.scores
    assert result.samples == 2


@pytest.mark.parametrize("returned", [[0.8, float("nan")], {"a": 0.8, "b": float("inf")}])
def test_every_score_must_be_finite(returned):
    with pytest.raises(EvaluationError, match="finite number"):
        as_result(returned)


def test_every_bar_must_be_met():
    assert judge(BOTH, 0.795, 2.1).met
    assert not judge(BOTH, 0.78, 2.0).met
    assert not judge(BOTH, 0.8, 2.3).met


def test_the_metric_that_lost_most_of_what_it_may_decides():
    verdict = judge(BOTH, 0.796, 2.3)
    assert (verdict.loss, verdict.allowance) == pytest.approx((0.3, 0.2))
    assert verdict.score == 0.796
    assert verdict.scores == {"top1": 0.796, "error": 2.3}
    assert judge(BOTH, 0.7, 2.0).loss == pytest.approx(0.1)


def test_weights_let_one_metric_make_up_for_another():
    weighted = Bars(criterion=Criterion(), names=BOTH.names, own=OWN, weights=(0.9, 0.1))
    # 0.9 * 0.02 - 0.1 * 0.5 < 0.9 * 0.008 + 0.1 * 0.2
    assert judge(weighted, 0.78, 1.5).met
    assert not judge(BOTH, 0.78, 1.5).met
    assert not judge(weighted, 0.7, 2.0).met


def test_without_names_the_evaluation_names_its_metrics():
    bars = Bars(criterion=Criterion(relative=0.5))
    assert bars.judge(FP32, as_result({"top1": 0.5, "error": 3.0})).met
    assert not bars.judge(FP32, as_result({"top1": 0.3, "error": 3.0})).met


@pytest.mark.parametrize("returned", [0.8, [0.8, 1.0, 2.0], {"top1": 0.8, "wrong": 1.0}])
def test_other_metrics_than_the_spec_names_are_an_error(returned):
    result = as_result(returned)
    with pytest.raises(EvaluationError, match="multi_metrics names top1, error"):
        BOTH.judge(result, result)


def test_metrics_that_change_are_an_error():
    with pytest.raises(EvaluationError, match="the same ones each time"):
        Bars(criterion=Criterion()).judge(FP32, as_result({"top1": 0.8, "other": 1.0}))


def test_the_bars_in_words():
    assert BOTH.describe() == ("top1: at most 1 % relative loss; error: at most 10 % relative loss")
