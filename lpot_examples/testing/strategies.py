"""What every search strategy must obey, checked on networks whose truth is known.

Each function in `CHECKS` takes a strategy class and raises AssertionError. A new strategy is
tested by adding it to ``search.strategies.STRATEGIES``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lpot_examples.graph import TuningConfig
from lpot_examples.search import SearchSpace, Trial, build_space
from lpot_examples.search.strategies import Strategy, StrategyContext
from lpot_examples.spec import load_spec
from lpot_examples.testing.fake_backend import FakeBackend, FakeNetwork

Check = Callable[[type[Strategy]], None]

# Trials that a search may make here; those without an end of their own use all.
_BUDGET = 24
_SHORT_BUDGET = 8

# Enough for every strategy to find what it can find on the networks below.
_LARGE_BUDGET = 40

_EASY = FakeNetwork(harm={f"g{i}": 1e-5 for i in range(12)})
_ONE_GUILTY = FakeNetwork(harm={f"g{i}": 0.05 if i == 9 else 1e-5 for i in range(12)})
_SPREAD = FakeNetwork(harm={f"g{i}": 0.001 * (i + 1) for i in range(30)})
_MISLEADING = FakeNetwork(  # the label-free error points at the wrong groups
    harm={f"g{i}": 0.03 if i == 2 else 1e-5 for i in range(12)},
    error={f"g{i}": 1e-5 if i == 2 else 0.03 for i in range(12)},
)
_NEAR_IMPOSSIBLE = FakeNetwork(harm={f"g{i}": 0.05 for i in range(9)}, unable=frozenset({"g4"}))
_SINGLE = FakeNetwork(harm={"only": 0.05})
_CURABLE = FakeNetwork(  # one group needs fp32 or another range algorithm than the first
    harm={f"g{i}": 0.05 if i == 7 else 1e-5 for i in range(8)},
    types={"g7": "MatMul"},
    suited={"g7": "kl"},
)

_NETWORKS = (_EASY, _ONE_GUILTY, _SPREAD, _MISLEADING, _NEAR_IMPOSSIBLE, _SINGLE, _CURABLE)


def is_deterministic(strategy: type[Strategy]) -> None:
    """The same context and trials give the same proposals: journals are resumed by replay."""
    for network in _NETWORKS:
        again = _drive(strategy(_context(network, budget=_BUDGET)), network)
        assert again == _proposals(strategy, network)


def a_larger_budget_continues(strategy: type[Strategy]) -> None:
    """The budget changes where a search stops and not what it asks until then."""
    for network in _NETWORKS:
        few = _drive(strategy(_context(network, budget=7)), network)
        more = _drive(strategy(_context(network, budget=14)), network)
        assert more[: len(few)] == few


def ends(strategy: type[Strategy]) -> None:
    """The search ends by itself within its budget, and stays ended."""
    for network, budget in itertools.product(_NETWORKS, (1, _SHORT_BUDGET)):
        searcher = strategy(_context(network, budget=budget))
        assert len(_drive(searcher, network)) <= budget
        assert searcher.ask() is None


def ends_where_it_says(strategy: type[Strategy]) -> None:
    """A strategy that ends at the first pass does so, and goes on if it is asked to."""
    if not strategy.ends_at_first_pass:
        return
    for network in _NETWORKS:
        trials: list[Trial] = []
        _drive(strategy(_context(network)), network, seen=trials)
        assert not any(trial.met for trial in trials[:-1])
    searcher = strategy(_context(_EASY, keep_going=True))
    assert len(_drive(searcher, _EASY)) > 1


def is_all_int8_without_a_bar(strategy: type[Strategy]) -> None:
    """Where accuracy is not checked, nothing is kept in fp32 that may be int8."""
    for network in _NETWORKS:
        space = _space(network)
        assert strategy(_context(network)).plain().fp32 == space.base.fp32


def never_repeats(strategy: type[Strategy]) -> None:
    """No configuration is proposed twice: each costs an evaluation."""
    for network in _NETWORKS:
        proposals = _proposals(strategy, network)
        assert len({config.digest() for config in proposals}) == len(proposals)


def never_gives_up_int8(strategy: type[Strategy]) -> None:
    """The network as given, all in fp32, is never proposed: it would be a success for nothing."""
    for network in _NETWORKS:
        able = {group.name for group in network.op_graph.quantizable}
        assert all(able - config.fp32 for config in _proposals(strategy, network))


def stays_in_the_space(strategy: type[Strategy]) -> None:
    """Every choice is one that the network and the spec offer."""
    for network in _NETWORKS:
        for config in _proposals(strategy, network):
            _check_choices(config, _space(network))


def obeys_the_spec(strategy: type[Strategy]) -> None:
    """Required groups stay int8, excluded ones fp32, and choices keep to what the spec allows."""
    int8 = {"weight": {"dtype": ["int8"]}, "activation": {"dtype": ["uint8"]}}
    fp32 = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}
    spec = {
        "quantization.op_wise": {
            "g9": int8,
            "g1": fp32,
            "g3": {"activation": {"algorithm": "minmax"}},
        },
        "quantization.model_wise": {
            "activation": {"algorithm": ["kl", "minmax"]},
            "weight": {"algorithm": ["mse"]},
        },
        "quantization.calibration.sampling_size": [4, 8],
    }
    for network in (_ONE_GUILTY, _SPREAD, _MISLEADING):
        for config in _drive(strategy(_context(network, spec)), network):
            assert "g9" not in config.fp32
            assert "g1" in config.fp32
            assert config.activation_algorithm in ("kl", "minmax")
            assert config.algorithm("g3") == "minmax" or "g3" in config.fp32
            _check_choices(config, _space(network, spec))


def keeps_the_order_of_ask_and_tell(strategy: type[Strategy]) -> None:
    """A second ask without tell, and a tell of something else, are defects of the caller."""
    network = _ONE_GUILTY
    searcher = strategy(_context(network))
    trial = _trial(network, TuningConfig(), 1)
    assert _raises(lambda: searcher.tell(trial)), "tell() before ask()"
    config = searcher.ask()
    assert config is not None
    assert _raises(searcher.ask), "ask() twice"
    other = _trial(network, config.with_fp32(["g3"]), 1)
    assert _raises(lambda: searcher.tell(other)), "tell() of another configuration"
    searcher.tell(_trial(network, config, 1))
    searcher.ask()


def survives_failures(strategy: type[Strategy]) -> None:
    """Trials whose evaluation failed end the search no worse than missed ones."""
    for network, every in itertools.product(_NETWORKS, (1, 2, 3)):
        searcher = strategy(_context(network))
        proposals = _drive(searcher, network, failing=range(every, _BUDGET, every).__contains__)
        assert len(proposals) in range(1, _SHORT_BUDGET + 1)


def loses_only_the_trial_that_failed(strategy: type[Strategy]) -> None:
    """One failure does not keep the search from an answer."""
    trials: list[Trial] = []
    searcher = strategy(_context(_CURABLE, budget=_LARGE_BUDGET))
    _drive(searcher, _CURABLE, failing=lambda number: number == 2, seen=trials)
    assert any(trial.met for trial in trials)


def survives_a_bar_of_nothing(strategy: type[Strategy]) -> None:
    """With no loss allowed the search goes on, and ends."""
    for network in _NETWORKS:
        proposals = _drive(strategy(_context(network)), network, allowance=0.0)
        assert len(proposals) in range(1, _SHORT_BUDGET + 1)


def finds_what_there_is(strategy: type[Strategy]) -> None:
    """One guilty group, which fp32 or another algorithm cures, is found; all others stay int8."""
    trials: list[Trial] = []
    searcher = strategy(_context(_CURABLE, budget=_LARGE_BUDGET, keep_going=True))
    _drive(searcher, _CURABLE, seen=trials)
    passing = [trial for trial in trials if trial.met]
    assert passing
    assert min(len(trial.config.fp32) for trial in passing) <= 1


CHECKS: tuple[Check, ...] = (
    is_deterministic,
    a_larger_budget_continues,
    ends,
    ends_where_it_says,
    is_all_int8_without_a_bar,
    never_repeats,
    never_gives_up_int8,
    stays_in_the_space,
    obeys_the_spec,
    keeps_the_order_of_ask_and_tell,
    survives_failures,
    loses_only_the_trial_that_failed,
    survives_a_bar_of_nothing,
    finds_what_there_is,
)


def _space(network: FakeNetwork, overrides: Mapping[str, Any] | None = None) -> SearchSpace:
    spec = load_spec(
        {"model": {"name": "fake", "framework": "tensorflow"}}, overrides=overrides or {}
    )
    return build_space(network.op_graph, FakeBackend(network).op_types, spec)


def _context(
    network: FakeNetwork,
    overrides: Mapping[str, Any] | None = None,
    *,
    budget: int = _SHORT_BUDGET,
    keep_going: bool = False,
) -> StrategyContext:
    return StrategyContext(
        _space(network, overrides),
        network.output_error,
        seed=1978,
        max_trials=budget,
        keep_going=keep_going,
    )


def _check_choices(config: TuningConfig, space: SearchSpace) -> None:
    free = {group.name for group in space.free}
    int8 = {group.name for group in space.int8_groups}
    assert space.base.fp32 <= config.fp32 <= space.base.fp32 | free
    assert config.activation_algorithm in space.activation_algorithms
    assert config.weight_algorithm in space.weight_algorithms
    assert config.samples in space.sizes
    assert 0 <= config.equalization <= 1
    assert set(config.activation_overrides) <= int8
    assert all(config.algorithm(name) in space.algorithms_of(name) for name in int8 - config.fp32)
    assert config.per_tensor == space.base.per_tensor
    assert config.weight_bits == space.base.weight_bits


def _proposals(strategy: type[Strategy], network: FakeNetwork) -> Sequence[TuningConfig]:
    return _remembered(strategy, _NETWORKS.index(network))


@functools.lru_cache(maxsize=len(_NETWORKS))
def _remembered(strategy: type[Strategy], number: int) -> Sequence[TuningConfig]:
    network = _NETWORKS[number]
    return _drive(strategy(_context(network, budget=_BUDGET)), network)


def _drive(
    searcher: Strategy,
    network: FakeNetwork,
    *,
    failing: Callable[[int], bool] = lambda number: False,
    allowance: float | None = None,
    seen: list[Trial] | None = None,
) -> list[TuningConfig]:
    """Run a search to its end, or a little beyond the budget that it should have kept to.

    Args:
        searcher: The search.
        network: What it searches for.
        failing: Tells by its number, 1 for the first, whether a trial fails.
        allowance: The loss allowed; 1 % of the fp32 score by default.
        seen: Takes the trials.
    """
    proposals: list[TuningConfig] = []
    while len(proposals) <= _LARGE_BUDGET and (config := searcher.ask()) is not None:
        proposals.append(config)
        number = len(proposals)
        trial = _trial(network, config, number, failed=failing(number), allowance=allowance)
        if seen is not None:
            seen.append(trial)
        searcher.tell(trial)
    return proposals


def _trial(
    network: FakeNetwork,
    config: TuningConfig,
    index: int,
    *,
    failed: bool = False,
    allowance: float | None = None,
) -> Trial:
    """Return the trial of a configuration, with a bar of 1 % relative if not given otherwise."""
    allowed = 0.01 * network.fp32_score if allowance is None else allowance
    score = network.score(config)
    loss = network.fp32_score - score
    return Trial(
        index=index,
        config=config,
        score=None if failed else score,
        loss=None if failed else loss,
        allowance=allowed,
        met=not failed and loss <= allowed,
        seconds=0.0,
        error="it failed" if failed else "",
    )


def _raises(call: Callable[[], object]) -> bool:
    try:
        call()
    except RuntimeError:
        return True
    return False
