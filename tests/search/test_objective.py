"""Which of the trials that meet the bar is shipped."""

import pytest

from lpot_examples.graph import TuningConfig
from lpot_examples.search import Trial
from lpot_examples.search.objective import Objective
from lpot_examples.spec import load_spec


def trial(index, *, loss, fp32=(), **costs):
    return Trial(
        index=index,
        config=TuningConfig(fp32=frozenset(fp32)),
        score=0.8 - loss,
        loss=loss,
        allowance=0.01,
        met=loss <= 0.01,
        seconds=0.0,
        costs=costs,
    )


def work(one):
    return len(one.config.fp32)


FAST = trial(1, loss=0.009, fp32="a", performance=1.0, modelsize=30.0, footprint=9.0)
SMALL = trial(2, loss=0.005, fp32="abc", performance=3.0, modelsize=10.0, footprint=7.0)
LEAN = trial(3, loss=0.001, fp32="ab", performance=2.0, modelsize=20.0, footprint=1.0)
MISSED = trial(4, loss=0.02, performance=0.1, modelsize=1.0, footprint=0.1)


@pytest.mark.parametrize(
    ("name", "best"),
    [("performance", FAST), ("modelsize", SMALL), ("footprint", LEAN), ("accuracy", LEAN)],
)
def test_each_objective_has_its_own_best(name, best):
    assert Objective(names=(name,)).best([FAST, SMALL, LEAN, MISSED], work) is best


def test_where_no_trial_passes_the_most_accurate_is_best():
    worse = trial(5, loss=0.03, modelsize=0.5)
    assert Objective(names=("modelsize",)).best([worse, MISSED], work) is MISSED
    assert Objective().best([], work) is None


def test_a_latency_that_one_trial_lacks_gives_way_to_the_work_in_fp32():
    unknown = trial(5, loss=0.0, fp32="")
    assert Objective().best([FAST, unknown], work) is unknown


def test_weights_decide_between_objectives():
    trials = [FAST, SMALL]
    for weights, best in (((0.9, 0.1), FAST), ((0.1, 0.9), SMALL)):
        both = Objective(names=("performance", "modelsize"), weights=weights)
        assert both.best(trials, work) is best


def test_objectives_are_scaled_before_they_are_weighed():
    # In bytes against milliseconds the size alone would decide.
    small = trial(1, loss=0.0, performance=9.0, modelsize=1e9)
    fast = trial(2, loss=0.0, performance=1.0, modelsize=1e9 + 5)
    middle = trial(3, loss=0.0, performance=2.0, modelsize=1e9 + 1)
    both = Objective(names=("performance", "modelsize"))
    assert both.best([small, fast, middle], work) is middle


def test_the_spec_says_which():
    model = {"model": {"name": "m", "framework": "tensorflow"}}
    assert Objective.of(load_spec(model)) == Objective()
    several = {"objective": ["accuracy", "modelsize"], "weight": [0.8, 0.2]}
    spec = load_spec(model, overrides={"tuning.multi_objectives": several})
    assert Objective.of(spec) == Objective(names=("accuracy", "modelsize"), weights=(0.8, 0.2))
