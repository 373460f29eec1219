"""Plain int8 first; if it misses the bar, the fewest guilty groups go back to fp32.

1. Every calibration algorithm is judged without labels, with and without cross-layer
   equalization. The best one is evaluated; if it misses, so is the best of the other kind.
2. Groups are ranked by how much output error their reverting removes (see `sensitivity`).
3. The number of reverted groups, taken from the top of the ranking, is found by bisection. The
   first number assumes that the loss of accuracy is proportional to the label-free error, so that
   few evaluations are spent far from the answer.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from lpot_examples.graph import TuningConfig
from lpot_examples.search.sensitivity import rank
from lpot_examples.search.strategies.base import Strategy
from lpot_examples.search.trial import Trial

# Evaluations after which the smallest set found so far, if there is one, is good enough.
MAX_EVALUATIONS = 5

# Aim this far below the bar: the proportionality is rough.
_TARGET = 0.75


class Bisection(Strategy):
    """See the module's description."""

    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield plain int8, then configurations with ever better numbers of fp32 groups."""
        best: Trial | None = None
        count = 0
        for config in self.calibrations():
            trial = yield config
            count += 1
            if trial.met:
                return
            if best is None or trial.excess() < best.excess():
                best = trial
        if best is None or not self.context.space.free:
            return
        space, config = self.context.space, best.config
        order = rank(space.free, config, self.context.probe, self.context.note)
        yield from self._bisect(config, order, best, MAX_EVALUATIONS - count)

    def calibrations(self) -> list[TuningConfig]:
        """Return one or two calibrations of least label-free error, the best first.

        Everything is int8 that may be. Range algorithms are compared with and without
        equalization; around the best of them, one choice after another is tried and kept if it is
        better.
        """
        space = self.context.space
        start = replace(space.base, samples=max(space.sizes), bias_correction=space.repairs)
        strengths = (0.5, 0.0) if space.repairs else (0.0,)
        grid = [
            replace(start, activation_algorithm=algorithm, equalization=equalization)
            for algorithm in space.activation_algorithms
            for equalization in strengths
        ]
        repairs = ({"equalization": 0.65}, {"equalization": 0.35}, {"bias_correction": False})
        variations: list[dict[str, Any]] = [
            *(repairs[:2] if space.repairs else ()),
            *({"weight_algorithm": name} for name in space.weight_algorithms[1:]),
            *(repairs[2:] if space.repairs else ()),
            *({"samples": size} for size in space.sizes[:-1]),
        ]
        total = len(grid) + len(variations)
        done = 0

        def error(config: TuningConfig) -> float:
            nonlocal done
            self.context.note("comparing calibrations without labels", done, total)
            done += 1
            return self.context.probe(config)

        errors = [error(config) for config in grid]
        least = min(errors)
        best = grid[errors.index(least)]
        for variation in variations:
            candidate = replace(best, **variation)
            found = error(candidate)
            if found < least:
                best, least = candidate, found
        self.context.note("comparing calibrations without labels", total, total)
        others = [
            (found, config)
            for found, config in zip(errors, grid, strict=True)
            if (config.equalization > 0) != (best.equalization > 0)
        ]
        return [best, *(config for _, config in sorted(others, key=lambda pair: pair[0])[:1])]

    def _bisect(
        self, config: TuningConfig, order: Sequence[str], plain: Trial, evaluations: int
    ) -> Generator[TuningConfig, Trial, None]:
        missed, met = 0, len(order) + 1  # one beyond: no number is known to meet the bar yet
        if not self.context.space.required:
            met = len(order)  # all in fp32 is the network as given
        evidence = {0: plain.excess()}
        found = False
        # The budget is for making a set smaller; a first one is worth whatever it takes.
        while met - missed > 1 and (len(evidence) <= evaluations or not found):
            number = self._guess(config, order, evidence, missed, met)
            trial = yield config.with_fp32(order[:number])
            evidence[number] = trial.excess()
            if trial.met:
                met, found = number, True
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
        excess = evidence[0]
        if len(evidence) > 1 or not 1 < excess < 1e6:
            return (missed + met) // 2
        wanted = self.context.probe(config) * _TARGET / excess
        low, high = missed + 1, min(met - 1, len(order))
        while low < high:
            middle = (low + high) // 2
            if self.context.probe(config.with_fp32(order[:middle])) <= wanted:
                high = middle
            else:
                low = middle + 1
        return low
