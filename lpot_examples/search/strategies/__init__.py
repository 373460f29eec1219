"""Strategies, one file each."""

from __future__ import annotations

from lpot_examples.search.strategies.base import Probe, Strategy, StrategyContext
from lpot_examples.search.strategies.basic import Basic
from lpot_examples.search.strategies.bayesian import Bayesian
from lpot_examples.search.strategies.bisection import Bisection
from lpot_examples.search.strategies.conservative import Conservative
from lpot_examples.search.strategies.exhaustive import Exhaustive
from lpot_examples.search.strategies.mse import MSE
from lpot_examples.search.strategies.random import Random
from lpot_examples.search.strategies.tpe import TPE

STRATEGIES: dict[str, type[Strategy]] = {
    "bisection": Bisection,
    "basic": Basic,
    "mse": MSE,
    "bayesian": Bayesian,
    "tpe": TPE,
    "random": Random,
    "exhaustive": Exhaustive,
    "conservative": Conservative,
}
"""Strategies that can run, by the name a spec uses."""

DEFAULT = "bisection"
"""The strategy that runs in place of one that cannot run."""

__all__ = ["DEFAULT", "STRATEGIES", "Bisection", "Probe", "Strategy", "StrategyContext"]
