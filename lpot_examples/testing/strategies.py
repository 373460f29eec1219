"""What every search strategy must obey, checked on networks whose truth is known.

Each function in `CHECKS` takes a strategy class and raises AssertionError. A new strategy is
tested by adding it to ``search.strategies.STRATEGIES``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from lpot_examples.graph import TuningConfig
from lpot_examples.search import SearchSpace, Trial, build_space
from lpot_examples.search.strategies import Strategy, StrategyContext
from lpot_examples.spec import load_spec
from lpot_examples.testing.fake_backend import FakeBackend, FakeNetwork

Check = Callable[[type[Strategy]], None]

# No strategy may go on for longer on networks of a few dozen groups.
_MOST_TRIALS = 200

_EASY = FakeNetwork(harm={f"g{i}": 1e-5 for i in range(12)})
_ONE_GUILTY = FakeNetwork(harm={f"g{i}": 0.05 if i == 9 else 1e-5 for i in range(12)})
_SPREAD = FakeNetwork(harm={f"g{i}": 0.001 * (i + 1) for i in range(30)})
_MISLEADING = FakeNetwork(  # the label-free error points at the wrong groups
    harm={f"g{i}": 0.03 if i == 2 else 1e-5 for i in range(12)},
    error={f"g{i}": 1e-5 if i == 2 else 0.03 for i in range(12)},
)
_NEAR_IMPOSSIBLE = FakeNetwork(harm={f"g{i}": 0.05 for i in range(9)}, unable=frozenset({"g4"}))
_SINGLE = FakeNetwork(harm={"only": 0.05})

_NETWORKS = (_EASY, _ONE_GUILTY, _SPREAD, _MISLEADING, _NEAR_IMPOSSIBLE, _SINGLE)


def is_deterministic(strategy: type[Strategy]) -> None:
    """The same context and trials give the same proposals: journals are resumed by replay."""
    for network in _NETWORKS:
        first, second = (_proposals(strategy, network) for _ in range(2))
        assert first == second


def ends(strategy: type[Strategy]) -> None:
    """The search ends by itself, and stays ended."""
    for network in _NETWORKS:
        searcher = strategy(_context(network))
        assert len(_drive(searcher, network)) < _MOST_TRIALS
        assert searcher.ask() is None


def starts_with_all_int8(strategy: type[Strategy]) -> None:
    """The first proposal keeps nothing in fp32 that may be int8; it is also the unchecked run."""
    for network in _NETWORKS:
        space = _space(network)
        first = strategy(_context(network)).ask()
        assert first is not None
        assert first.fp32 == space.base.fp32


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


def obeys_the_spec(strategy: type[Strategy]) -> None:
    """Required groups stay int8, excluded ones fp32, and choices keep to what the spec allows."""
    int8 = {"weight": {"dtype": ["int8"]}, "activation": {"dtype": ["uint8"]}}
    fp32 = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}
    spec = {
        "quantization.op_wise": {"g9": int8, "g1": fp32},
        "quantization.model_wise": {"activation": {"algorithm": ["kl", "minmax"]}},
        "quantization.calibration.sampling_size": [4, 8],
    }
    for network in (_ONE_GUILTY, _SPREAD, _MISLEADING):
        for config in _proposals(strategy, network, spec):
            assert "g9" not in config.fp32
            assert "g1" in config.fp32
            assert config.fp32 <= set(network.harm)
            assert config.activation_algorithm in ("kl", "minmax")
            assert config.samples in (0, 4, 8)


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
        proposals = _drive(searcher, network, failing=every)
        assert 0 < len(proposals) < _MOST_TRIALS


def survives_a_bar_of_nothing(strategy: type[Strategy]) -> None:
    """With no loss allowed the search goes on, and ends."""
    for network in _NETWORKS:
        assert 0 < len(_drive(strategy(_context(network)), network, allowance=0.0)) < _MOST_TRIALS


def finds_what_there_is(strategy: type[Strategy]) -> None:
    """One guilty group among many is found, and little else is given up."""
    trials: list[Trial] = []
    _drive(strategy(_context(_ONE_GUILTY)), _ONE_GUILTY, seen=trials)
    passing = [trial for trial in trials if trial.met]
    assert passing
    assert min(len(trial.config.fp32) for trial in passing) <= 2


CHECKS: tuple[Check, ...] = (
    is_deterministic,
    ends,
    starts_with_all_int8,
    never_repeats,
    never_gives_up_int8,
    obeys_the_spec,
    keeps_the_order_of_ask_and_tell,
    survives_failures,
    survives_a_bar_of_nothing,
    finds_what_there_is,
)


def _space(network: FakeNetwork, overrides: Mapping[str, Any] | None = None) -> SearchSpace:
    spec = load_spec(
        {"model": {"name": "fake", "framework": "tensorflow"}}, overrides=overrides or {}
    )
    return build_space(network.op_graph, FakeBackend(network).op_types, spec)


def _context(network: FakeNetwork, overrides: Mapping[str, Any] | None = None) -> StrategyContext:
    return StrategyContext(_space(network, overrides), network.output_error)


def _proposals(
    strategy: type[Strategy], network: FakeNetwork, overrides: Mapping[str, Any] | None = None
) -> list[TuningConfig]:
    return _drive(strategy(_context(network, overrides)), network)


def _drive(
    searcher: Strategy,
    network: FakeNetwork,
    *,
    failing: int = 0,
    allowance: float | None = None,
    seen: list[Trial] | None = None,
) -> list[TuningConfig]:
    """Run a search to its end; every ``failing``-th trial fails."""
    proposals: list[TuningConfig] = []
    while (config := searcher.ask()) is not None and len(proposals) < _MOST_TRIALS:
        proposals.append(config)
        failed = bool(failing) and len(proposals) % failing == 0
        trial = _trial(network, config, len(proposals), failed=failed, allowance=allowance)
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
