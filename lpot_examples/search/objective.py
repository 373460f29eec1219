"""Which of the trials that meet the bar is the best: the spec's objective or several of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lpot_examples.search.trial import Trial
from lpot_examples.spec import Spec

Work = Callable[[Trial], float]
"""What a trial leaves in fp32, in multiply-accumulates: stands in for a latency not measured."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is to be small, the bar being met.

    ``performance`` is the latency, or the work in fp32 where that of some trial is not known;
    ``modelsize`` and ``footprint`` are bytes; ``accuracy`` is the loss against fp32. Several are
    each scaled to [0, 1] over the trials compared, and their weighted mean decides, as in LPOT.

    Attributes:
        names: The objectives.
        weights: One for each, or empty for equal ones.
    """

    names: tuple[str, ...] = ("performance",)
    weights: tuple[float, ...] = ()

    @classmethod
    def of(cls, spec: Spec) -> Objective:
        """Return what a spec asks for."""
        several = spec.tuning.multi_objectives
        if several is None:
            return cls(names=(spec.tuning.objective,))
        return cls(names=several.objective, weights=several.weight or ())

    def best(self, trials: Sequence[Trial], work: Work) -> Trial | None:
        """Return the best trial that meets the bar, else the most accurate one.

        Ties go to the least work in fp32, then to the least loss, then to the earlier trial.
        """
        scored = [trial for trial in trials if trial.score is not None]
        passing = [trial for trial in scored if trial.met]
        if not passing:
            return min(scored, key=lambda trial: trial.excess(), default=None)
        columns = [_costs(name, passing, work) for name in self.names]
        if len(columns) > 1:
            columns = [_scaled(column) for column in columns]
        weights = self.weights or (1.0,) * len(columns)
        totals = [
            sum(weight * cost for weight, cost in zip(weights, row, strict=True))
            for row in zip(*columns, strict=True)
        ]
        ranked = sorted(
            zip(totals, passing, strict=True),
            key=lambda pair: (pair[0], work(pair[1]), pair[1].excess()),
        )
        return ranked[0][1]


def _costs(name: str, trials: Sequence[Trial], work: Work) -> list[float]:
    """Return what is to be small, for each trial; comparable with each other."""
    if name == "accuracy":
        return [trial.excess() for trial in trials]
    if all(name in trial.costs for trial in trials):
        return [trial.costs[name] for trial in trials]
    return [work(trial) for trial in trials]


def _scaled(costs: Sequence[float]) -> list[float]:
    low, high = min(costs), max(costs)
    return [(cost - low) / (high - low) if high > low else 0.0 for cost in costs]
