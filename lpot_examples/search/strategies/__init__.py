"""Strategies, one file each."""

from __future__ import annotations

from lpot_examples.search.strategies.base import Probe, Strategy, StrategyContext
from lpot_examples.search.strategies.bisection import Bisection

STRATEGIES: dict[str, type[Strategy]] = {"bisection": Bisection}
"""Strategies that can run, by the name a spec uses."""

DEFAULT = "bisection"
"""The strategy that runs in place of one that cannot run yet."""

__all__ = ["DEFAULT", "STRATEGIES", "Bisection", "Probe", "Strategy", "StrategyContext"]
