"""The bisection on networks of known harm: few trials, a small passing set, good calibrations."""

from dataclasses import replace

import numpy as np
import pytest

from lpot_examples.graph import Group, Op, Precision, TuningConfig
from lpot_examples.search import SearchSpace, Trial
from lpot_examples.search.strategies import StrategyContext
from lpot_examples.search.strategies.bisection import MAX_EVALUATIONS, Bisection

ALLOWANCE = 0.01


def group(name):
    both = (Precision.INT8, Precision.FP32)
    return Group(name=name, type="Conv2D", ops=(Op(name, "Conv2D"),), precisions=both)


def space_of(names, *, required=(), algorithms=("minmax", "kl"), sizes=(8, 32)):
    return SearchSpace(
        free=tuple(group(name) for name in names if name not in required),
        required=tuple(group(name) for name in required),
        base=TuningConfig(),
        activation_algorithms=algorithms,
        weight_algorithms=("minmax", "mse"),
        sizes=sizes,
    )


class Network:
    """Groups with a harm each; ``factor(config)`` scales it; the probe may be off by some noise."""

    def __init__(self, harm, *, factor=lambda config: 1.0, distortion=None):
        self.harm, self.factor, self.distortion = harm, factor, distortion or {}

    def loss(self, config):
        int8 = set(self.harm) - config.fp32
        return self.factor(config) * sum(self.harm[name] for name in int8)

    def probe(self, config):
        int8 = set(self.harm) - config.fp32
        blame = sum(self.harm[name] * self.distortion.get(name, 1.0) for name in int8)
        return 20 * self.factor(config) * blame


def search(network, space):
    """Run to the end; return the trials."""
    strategy = Bisection(StrategyContext(space, network.probe))
    trials = []
    while (config := strategy.ask()) is not None:
        loss = network.loss(config)
        trials.append(
            Trial(
                index=len(trials) + 1,
                config=config,
                score=0.8 - loss,
                loss=loss,
                allowance=ALLOWANCE,
                met=loss <= ALLOWANCE,
                seconds=1.0,
            )
        )
        strategy.tell(trials[-1])
        assert len(trials) < 40
    return trials


def smallest(harm):
    """Return how many of the most harmful groups must go for the rest to clear the bar."""
    left = sorted(harm.values(), reverse=True)
    return next(n for n in range(len(left) + 1) if sum(left[n:]) <= ALLOWANCE)


@pytest.mark.parametrize("seed", range(30))
def test_few_trials_find_a_small_passing_set(seed):
    rng = np.random.default_rng(seed)
    count, guilty = int(rng.integers(6, 80)), int(rng.integers(1, 5))
    harm = {f"g{i}": 0.004 / count for i in range(count)}
    for index in rng.choice(count, guilty, replace=False):
        harm[f"g{index}"] = float(rng.uniform(0.01, 0.2))
    distortion = {name: float(rng.uniform(0.7, 1.4)) for name in harm}
    trials = search(Network(harm, distortion=distortion), space_of(harm))
    passing = [trial for trial in trials if trial.met]
    assert passing
    assert len(trials) <= MAX_EVALUATIONS
    assert min(len(trial.config.fp32) for trial in passing) <= smallest(harm) + 2


def test_harm_spread_evenly_is_cleared_all_the_same():
    """Nothing stands out, and most groups must go; the budget is then for making that smaller."""
    harm = {f"g{i}": 0.001 for i in range(60)}
    trials = search(Network(harm), space_of(harm))
    met = [trial.met for trial in trials]
    assert any(met)
    assert len(trials) <= MAX_EVALUATIONS or met.index(True) == len(trials) - 1
    best = min(len(trial.config.fp32) for trial in trials if trial.met)
    assert smallest(harm) <= best <= smallest(harm) + 5


def test_a_network_that_meets_the_bar_is_not_searched():
    harm = {f"g{i}": 1e-4 for i in range(20)}
    (trial,) = search(Network(harm), space_of(harm))
    assert trial.met
    assert trial.config.fp32 == frozenset()


def test_no_passing_set_ends_with_one_int8_group_left():
    """The harm of a required group alone exceeds the bar."""
    harm = {"g0": 0.5, **{f"g{i}": 0.02 for i in range(1, 10)}}
    trials = search(Network(harm), space_of(harm, required=("g0",)))
    assert not any(trial.met for trial in trials)
    assert all("g0" not in trial.config.fp32 for trial in trials)
    assert max(len(trial.config.fp32) for trial in trials) == 9


def test_proportionality_places_the_first_guess():
    """Ten groups of equal harm, a probe that is exact, an aim at 75 % of the bar."""
    harm = {f"g{i}": 0.004 for i in range(10)}
    trials = search(Network(harm), space_of(harm))
    reverted = [len(trial.config.fp32) for trial in trials]
    # 0.75 · 0.01 leaves room for one group of 0.004.
    assert reverted[:3] == [0, 0, 9]
    assert trials[2].met


def test_calibrations_are_the_best_of_each_kind():
    def factor(config):
        value = {"minmax": 1.0, "kl": 0.8}[config.activation_algorithm]
        value *= 1 + abs(config.equalization - 0.35)
        value *= 0.9 if config.weight_algorithm == "mse" else 1.0
        value *= 1.1 if config.bias_correction else 1.0
        return value * (0.95 if config.samples == 8 else 1.0)

    harm = {f"g{i}": 0.01 for i in range(5)}
    network, space = Network(harm, factor=factor), space_of(harm)
    first, second, third = Bisection(StrategyContext(space, network.probe)).calibrations()
    assert first == replace(
        space.base,
        activation_algorithm="kl",
        weight_algorithm="mse",
        equalization=0.35,
        bias_correction=False,
        samples=8,
    )
    assert second.equalization == 0
    assert second.activation_algorithm == "kl"
    assert third.equalization == 0.5
    assert third.activation_algorithm == "minmax"


def test_the_better_calibration_is_searched_on():
    """The probe prefers equalization, the truth does not."""

    class Misjudged(Network):
        def loss(self, config):
            return super().loss(config) * (3.0 if config.equalization else 1.0)

    harm = {"g3": 0.02, **{f"g{i}": 1e-4 for i in range(10) if i != 3}}
    factor = {True: 0.9, False: 1.0}
    network = Misjudged(harm, factor=lambda config: factor[config.equalization > 0])
    trials = search(network, space_of(harm))
    assert [trial.config.equalization > 0 for trial in trials[:2]] == [True, False]
    assert all(trial.config.equalization == 0 for trial in trials[1:])
    assert [trial.config.fp32 for trial in trials[1:]] == [set(), set(), {"g3"}]
    assert trials[3].met


def test_calibrations_far_from_the_bar_are_not_all_tried():
    harm = {f"g{i}": 0.02 for i in range(10)}
    trials = search(Network(harm), space_of(harm))
    assert [len(trial.config.fp32) > 0 for trial in trials[:3]] == [False, False, True]


@pytest.mark.parametrize(("low", "tried"), [(-0.02, 3), (0.02, 2), (None, 2)])
def test_calibrations_that_may_have_missed_by_chance_are_all_tried(low, tried):
    """Far beyond the bar the third is tried only if the interval of the loss says it may pass."""
    factors = {"minmax": 1.0, "kl": 1.05, "percentile": 1.1}
    network = Network({"a": 0.02, "b": 0.02}, factor=lambda c: factors[c.activation_algorithm])
    space = space_of("ab", algorithms=tuple(factors))
    strategy = Bisection(StrategyContext(space, network.probe))
    first = []
    while (config := strategy.ask()) is not None and not config.fp32:
        loss = network.loss(config)
        first.append(config.activation_algorithm)
        interval = None if low is None else {"low": low, "high": 0.1}
        strategy.tell(
            Trial(
                index=len(first),
                config=config,
                score=0.8 - loss,
                loss=loss,
                allowance=ALLOWANCE,
                met=False,
                seconds=0.0,
                interval=interval,
            )
        )
    assert len(first) == tried


def test_a_list_without_a_passing_step_is_continued_group_by_group(monkeypatch):
    """The list may jump from little in fp32 to all of it; what lies between is still found."""
    module = "lpot_examples.search.strategies.bisection"
    monkeypatch.setattr(f"{module}.refine", lambda costs, front, shares: [front[0], front[-1]])
    harm = {name: 0.02 for name in "abcde"} | {name: 0.003 for name in "fgh"}
    trials = search(Network(harm), space_of("abcdefgh"))
    passing = [trial for trial in trials if trial.met]
    assert min(len(trial.config.fp32) for trial in passing) == smallest(harm)
    assert len(trials) <= MAX_EVALUATIONS + 3
