"""Plain int8 first; if it misses the bar, the fewest guilty groups go back to fp32.

1. Every calibration algorithm is judged without labels, and the best one evaluated.
2. Groups are ranked by how much output error their reverting removes (see `sensitivity`).
3. The number of reverted groups, taken from the top of the ranking, is found by bisection. The
   first guess assumes that the loss of accuracy is proportional to the label-free error, so that
   few evaluations are spent far from the answer.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from lpot_examples.graph import TuningConfig
from lpot_examples.search.sensitivity import rank
from lpot_examples.search.strategies.base import Strategy
from lpot_examples.search.trial import Trial

# Evaluations after which the smallest set found so far is good enough.
MAX_EVALUATIONS = 6

# Aim this far below the bar: the proportionality is rough.
_TARGET = 0.75


class Bisection(Strategy):
    """See the module's description."""

    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield plain int8, then configurations with ever better numbers of fp32 groups."""
        config = self.best_calibration()
        trial = yield config
        if trial.met or not self.context.space.free:
            return
        order = rank(self.context.space.free, config, self.context.probe, self.context.note)
        yield from self._bisect(config, order, trial)

    def best_calibration(self) -> TuningConfig:
        """Return the calibration of least label-free error, everything int8 that may be."""
        space = self.context.space
        candidates = [
            replace(space.base, activation_algorithm=activation, weight_algorithm=weight, samples=n)
            for n in space.sizes
            for activation in space.activation_algorithms
            for weight in space.weight_algorithms
        ]
        if len(candidates) == 1:
            return candidates[0]
        errors = []
        for index, candidate in enumerate(candidates):
            self.context.note("comparing calibration algorithms", index, len(candidates))
            errors.append(self.context.probe(candidate))
        self.context.note("comparing calibration algorithms", len(candidates), len(candidates))
        return candidates[errors.index(min(errors))]

    def _bisect(
        self, config: TuningConfig, order: Sequence[str], plain: Trial
    ) -> Generator[TuningConfig, Trial, None]:
        missed, met = 0, len(order) + 1  # one beyond: no number is known to meet the bar yet
        if not self.context.space.required:
            met = len(order)  # all in fp32 is the network as given
        evidence = {0: plain.excess()}
        for _ in range(MAX_EVALUATIONS - 1):
            if met - missed <= 1:
                return
            number = self._guess(config, order, evidence, missed, met)
            trial = yield config.with_fp32(order[:number])
            evidence[number] = trial.excess()
            if trial.met:
                met = number
            else:
                missed = number

    def _guess(
        self,
        config: TuningConfig,
        order: Sequence[str],
        evidence: dict[int, float],
        missed: int,
        met: int,
    ) -> int:
        """Return the next number to try, strictly between ``missed`` and ``met``."""
        reference = max(missed, 0)
        excess = evidence[reference]
        if len(evidence) > 3 or not 1 < excess < 1e6:
            return (missed + met) // 2
        at_reference = self.context.probe(config.with_fp32(order[:reference]))
        wanted = at_reference * _TARGET / excess
        low, high = missed + 1, min(met - 1, len(order))
        while low < high:
            middle = (low + high) // 2
            if self.context.probe(config.with_fp32(order[:middle])) <= wanted:
                high = middle
            else:
                low = middle + 1
        return low
