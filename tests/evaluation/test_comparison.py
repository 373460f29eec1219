import json

import numpy as np
import pytest

from lpot_examples.evaluation.comparison import Comparison
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.evidence import gather
from lpot_examples.evaluation.result import EvaluationResult


def result(values):
    values = np.asarray(values, dtype=float)
    return EvaluationResult(score=float(values.mean()), per_sample=values, samples=len(values))


def comparison(values, criterion=None, **options):
    baseline = result(values)
    return Comparison(baseline, gather(baseline), criterion or Criterion(), **options)


def test_a_judgement_is_json_and_has_both_units():
    values = np.repeat([1.0, 0.0], [700, 300])
    worse = values.copy()
    worse[:70] = 0
    found = comparison(values).judge(result(worse))
    assert json.loads(json.dumps(found)) == found
    assert found["low"] < 0.07 < found["high"]
    assert found["relative"]["low"] < 0.1 < found["relative"]["high"]
    assert found["verdict"] == "refuted"
    assert found["samples"] == 1000


def test_one_number_is_not_judged():
    plain = Comparison(EvaluationResult(score=0.5), None, Criterion())
    assert plain.judge(EvaluationResult(score=0.5)) is None
    assert plain.race("00") is None
    assert not plain.detailed


def test_races_of_one_configuration_are_the_same():
    fp32 = comparison(np.repeat([1.0, 0.0], [700, 300]))
    one, same, other = (fp32.race(digest).order(1000) for digest in ("0a" * 8, "0a" * 8, "0b" * 8))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_score_that_does_not_change_is_suspicious():
    plain = Comparison(EvaluationResult(score=0.5), None, Criterion())
    assert "exactly as the fp32 model does (0.5)" in plain.suspicion(0.5)
    assert plain.suspicion(0.4999) == ""
    assert comparison([1.0, 0.0] * 50).suspicion(0.5) == ""


@pytest.mark.parametrize(
    ("values", "criterion", "remark"),
    [
        ([1.0, 0.0] * 50, Criterion(relative=0.1), None),
        ([0.3] * 20, Criterion(), "every one of the 20 samples scores 0.3"),
        ([1.0, 0.0] * 50, Criterion(relative=0.0), "allows no loss at all"),
        ([1.0, 0.0] * 50, Criterion(absolute=0.0), "allows no loss at all"),
        ([1.0, 0.0] * 50, Criterion(relative=0.01), "0.5 of one of the 100 samples"),
        ([1.0, 0.0] * 50, Criterion(absolute=0.01), None),
    ],
)
def test_remarks(values, criterion, remark):
    found = comparison(values, criterion).remarks()
    assert [remark in text for text in found] == ([True] if remark else [])


def test_per_sample_scores_of_another_metric_are_mentioned():
    for values, why in (
        ([1.0, 0.0, 0.0], "their mean is 0.333"),
        ([1.0, np.nan], "1 of 2 are not"),
    ):
        baseline = EvaluationResult(score=0.9, per_sample=np.array(values), samples=len(values))
        (text,) = Comparison(baseline, gather(baseline), Criterion()).remarks()
        assert why in text
