"""What LPOT's strategies have in common: model-wise candidates, falling back, no trial twice.

The order of the questions is LPOT's. How a network is quantized is this tool's own: ranges from
the shared histograms, bias correction, and equalization where it lowers the label-free error.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from lpot_examples.graph import TuningConfig
from lpot_examples.search.space import SearchSpace
from lpot_examples.search.strategies.base import Strategy, StrategyContext
from lpot_examples.search.trial import Trial

# Equalization at half strength, or none; the label-free error decides.
_EQUALIZATIONS = (0.5, 0.0)

Attempt = Generator[TuningConfig, Trial, Trial | None]
"""A part of a search: yields configurations, is sent their trials, returns one of them."""


class LpotStrategy(Strategy):
    """The common part of LPOT's strategies; see the module's description."""

    ends_at_first_pass: ClassVar[bool] = True

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self._known: dict[str, Trial] = {}

    def plain(self) -> TuningConfig:
        """Return the first model-wise candidate, whatever this strategy would ask first."""
        return self.start()

    def start(self) -> TuningConfig:
        """Return the configuration that all others vary: int8, with what the spec puts first."""
        space = self.context.space
        config = replace(space.base, samples=max(space.sizes), bias_correction=space.repairs)
        config = with_algorithm(space, config, space.activation_algorithms[0])
        strengths = _EQUALIZATIONS if space.repairs else (0.0,)
        choices = [replace(config, equalization=strength) for strength in strengths]
        return min(choices, key=self.context.probe)

    def attempt(self, config: TuningConfig) -> Attempt:
        """Yield a configuration and return its trial; the known one where it was yielded before.

        Returns None, and yields nothing, for the network as given: it would pass for nothing.
        """
        space = self.context.space
        if not space.required and config.fp32.issuperset(group.name for group in space.free):
            return None
        digest = config.digest()
        if digest not in self._known:
            self._known[digest] = yield config
        return self._known[digest]

    def tune_model_wise(self) -> Attempt:
        """Try one calibration for the whole network after another; return the best trial."""
        best: Trial | None = None
        for config in model_wise(self.context.space, self.start()):
            trial = yield from self.attempt(config)
            if trial is not None and (best is None or trial.excess() < best.excess()):
                best = trial
        return best

    def fall_back(self, start: Trial, order: Sequence[str]) -> Generator[TuningConfig, Trial, None]:
        """Revert groups to fp32: one by one, each kept if it helps, then all in order.

        Args:
            start: The trial of the configuration in which the groups are int8.
            order: Names of the groups, the most harmful first.
        """
        kept = start
        for name in order:
            trial = yield from self.attempt(kept.config.with_fp32([name]))
            if trial is not None and trial.excess() < kept.excess():
                kept = trial
        for number in range(1, len(order) + 1):
            yield from self.attempt(start.config.with_fp32(order[:number]))


def model_wise(space: SearchSpace, start: TuningConfig) -> Iterator[TuningConfig]:
    """Yield one configuration for each calibration that the spec allows, ``start`` first."""
    sizes = sorted(space.sizes, reverse=True)
    algorithms = space.activation_algorithms
    for size, weights, algorithm in itertools.product(sizes, space.weight_algorithms, algorithms):
        config = replace(start, samples=size, weight_algorithm=weights)
        yield with_algorithm(space, config, algorithm)


def with_algorithm(space: SearchSpace, config: TuningConfig, algorithm: str) -> TuningConfig:
    """Return a configuration with this range algorithm wherever the spec allows it."""
    own = {
        name: algorithm if algorithm in allowed else allowed[0]
        for name, allowed in space.algorithms.items()
    }
    return with_algorithms(replace(config, activation_algorithm=algorithm), own)


def with_algorithms(config: TuningConfig, algorithms: Mapping[str, str]) -> TuningConfig:
    """Return a configuration with a range algorithm for each of these groups."""
    other = {
        name: algorithm
        for name, algorithm in algorithms.items()
        if algorithm != config.activation_algorithm
    }
    return replace(config, activation_overrides=other)
