"""LPOT's ``tpe``: a tree-structured Parzen estimator over every op's options, fp32 among them.

It minimizes ``accuracy_weight * a + latency_weight * l``. a is 0 where the bar is met, else
2 + log2 of the loss in units of the allowance. l is log2 of the latency relative to all int8;
where latencies are not known, log2(1 + share of the multiply-accumulates that are fp32).
The estimator looks at the order of losses only. (Bergstra et al., Algorithms for Hyper-Parameter
Optimization, 2011.)

It learns slowly in so many dimensions: LPOT's documents speak of 200 trials and more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from lpot_examples.graph import TuningConfig
from lpot_examples.search.allocation import predict
from lpot_examples.search.strategies.study import StudyStrategy
from lpot_examples.search.trial import Trial

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

# Losses are compared up to this many allowances; beyond, all are as bad.
_WORST = 1024.0


class TPE(StudyStrategy):
    """See the module's description."""

    fp32_is_an_option: ClassVar[bool] = True

    def sampler(self) -> BaseSampler:
        """Return Optuna's sampler of that name."""
        from optuna.samplers import TPESampler

        return TPESampler(seed=self.context.seed)

    def loss(self, trial: Trial, start: TuningConfig) -> float:
        """Return the weighted sum of the module's description."""
        accuracy = 0.0
        if not trial.met:
            accuracy = 2 + math.log2(min(max(trial.excess(), 1.0), _WORST))
        weight_of_accuracy, weight_of_latency = self.context.weights
        return weight_of_accuracy * accuracy + weight_of_latency * self._slowness(trial, start)

    def _slowness(self, trial: Trial, start: TuningConfig) -> float:
        costs = self.context.costs
        if costs is not None:
            return math.log2(predict(costs, trial.config.fp32) / predict(costs, start.fp32))
        work = {group.name: group.macs or 1 for group in self.context.space.int8_groups}
        fp32 = sum(macs for name, macs in work.items() if name in trial.config.fp32)
        return math.log2(1 + fp32 / sum(work.values()))
