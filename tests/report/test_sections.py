"""What a report says of metrics, the objective and the cost of a search."""

import pytest

from lpot_examples.evaluation.bars import Bars
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.repeat import Repeatability
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.graph import TuningConfig
from lpot_examples.report.sections import accuracy_section, full_evaluations, objective_section
from lpot_examples.search import Trial
from lpot_examples.search.objective import Objective

ONE = Criterion(relative=0.01)
OWN = (Criterion(relative=0.01), Criterion(absolute=0.5, relative=None, higher_is_better=False))


def section(bars, before, after):
    baseline, result = EvaluationResult(**before), EvaluationResult(**after)
    verdict = bars.judge(baseline, result)
    best = Trial(
        index=1,
        config=TuningConfig(),
        score=verdict.score,
        loss=verdict.loss,
        allowance=verdict.allowance,
        met=verdict.met,
        seconds=1.0,
        scores=verdict.scores,
    )
    return accuracy_section(bars, baseline=baseline, best=best, repeatability=None)


def two(top, error):
    return {"score": top, "scores": {"topk": top, "MSE": error}}


def test_every_metric_has_its_own_bar_and_verdict():
    bars = Bars(criterion=ONE, names=("topk", "MSE"), own=OWN)
    found = section(bars, two(0.8, 2.0), two(0.79, 2.25))
    first, second = found["metrics"]
    assert (first["name"], first["fp32"], first["int8"], first["met"]) == ("topk", 0.8, 0.79, False)
    assert first["loss_relative"] == pytest.approx(0.0125)
    assert first["criterion"]["text"] == "at most 1 % relative loss"
    assert (second["loss"], second["allowance"], second["met"]) == (0.25, 0.5, True)
    assert second["criterion"]["higher_is_better"] is False
    assert second["weight"] is None
    assert found["met"] is False
    assert found["weighted"] is None
    assert (found["metric"], found["fp32"], found["int8"]) == ("topk", 0.8, 0.79)
    assert found["criterion"]["text"] == "topk: at most 1 % relative loss; MSE: at most 0.5 lost"
    assert "single metric" in found["certainty"]


def test_with_weights_the_sum_decides():
    bars = Bars(criterion=ONE, names=("topk", "MSE"), own=OWN, weights=(0.5, 0.5))
    found = section(bars, two(0.8, 2.0), two(0.79, 1.9))
    assert [metric["weight"] for metric in found["metrics"]] == [0.5, 0.5]
    assert [metric["met"] for metric in found["metrics"]] == [False, True]
    assert found["met"] is True
    assert found["weighted"]["loss"] == pytest.approx(0.5 * 0.01 - 0.5 * 0.1)
    assert found["weighted"]["allowance"] == pytest.approx(0.5 * 0.008 + 0.5 * 0.5)


def test_one_bar_for_all_metrics_of_a_list():
    scores = {"metric 1": 0.8, "metric 2": 0.5}
    before = {"score": 0.8, "scores": scores}
    found = section(Bars(criterion=ONE), before, before)
    assert [metric["name"] for metric in found["metrics"]] == list(scores)
    assert found["criterion"]["text"] == "at most 1 % relative loss"


def test_a_single_metric():
    before = {"score": 0.8, "metric": "top-1", "samples": 10}
    found = section(Bars(criterion=ONE), before, {"score": 0.796})
    assert [metric["name"] for metric in found["metrics"]] == ["top-1"]
    assert (found["fp32"], found["int8"], found["met"]) == (0.8, 0.796, True)
    assert found["criterion"] == found["metrics"][0]["criterion"]
    assert "one number" in found["certainty"]


def test_before_the_first_trial_and_without_any_evaluation():
    bars = Bars(criterion=ONE, names=("topk", "MSE"), own=OWN)
    baseline = EvaluationResult(**two(0.8, 2.0))
    found = accuracy_section(bars, baseline=baseline, best=None, repeatability=None)
    assert found["checked"] is False
    assert [(metric["fp32"], metric["int8"]) for metric in found["metrics"]] == [
        (0.8, None),
        (2.0, None),
    ]
    found = accuracy_section(bars, baseline=None, best=None, repeatability=None)
    assert (found["checked"], found["metrics"], found["met"]) == (False, [], None)


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        (Objective(), "performance"),
        (Objective(names=("footprint",)), "footprint"),
        (Objective(names=("accuracy", "modelsize")), "accuracy, modelsize, weighted equally"),
        (
            Objective(names=("footprint", "performance"), weights=(0.7, 0.3)),
            "0.7 × footprint + 0.3 × performance",
        ),
    ],
)
def test_the_objective_in_words(objective, text):
    found = objective_section(objective)
    assert found["text"] == text
    assert found["names"] == list(objective.names)
    assert found["weights"] == list(objective.weights)


@pytest.mark.parametrize(("share", "count"), [(1.0, 3.0), (0.05, 2.0)])
def test_a_whole_evaluation_made_again_counts(share, count):
    repeated = Repeatability(samples=10, evaluated=share, differing=None, spread=0.0)
    trial = Trial(
        index=1,
        config=TuningConfig(),
        score=1.0,
        loss=0.0,
        allowance=0.0,
        met=True,
        seconds=1.0,
    )
    baseline = EvaluationResult(score=1.0)
    assert full_evaluations([trial], baseline=baseline, repeatability=repeated) == count
    assert full_evaluations([trial], baseline=None, repeatability=None) == 1
