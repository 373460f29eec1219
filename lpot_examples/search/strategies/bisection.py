"""Bisection over the Pareto list of latency and sensitivity.

1. Every calibration algorithm is judged without labels, with and without cross-layer
   equalization. The best one is evaluated, with those groups in fp32 that are measured to be faster
   there (see `search.allocation`); if it misses the bar, so are the next two, if they come close.
2. Each group's share of the label-free error is found by group testing (see `sensitivity`). The
   worst get another range algorithm if that helps.
3. Minimum cuts give the list of best trades between latency and that error, the fastest first.
   The first entry that meets the bar is found by bisection. Its first step assumes that the loss
   of accuracy is proportional to the label-free error, so that few evaluations are spent far from
   the answer. If none of them does, groups go back from the last one, the most harmful first.
4. With budget left, groups of the answer go back to int8, those that gain most first.

Where latencies are not known, every group counts by its multiply-accumulates.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lpot_examples.graph import TuningConfig
from lpot_examples.graph.latency import by_macs
from lpot_examples.search.allocation import allocate, pareto, predict, refine
from lpot_examples.search.sensitivity import sensitivities
from lpot_examples.search.strategies.base import Strategy
from lpot_examples.search.trial import Trial

# Evaluations after which the smallest set found so far, if there is one, is good enough.
MAX_EVALUATIONS = 5

# Aim this far below the bar: the proportionality is rough.
_TARGET = 0.75

# A calibration of at most this many times the least error may well score better.
_COMPARABLE = 2.0

# So many of these are evaluated before groups go back to fp32, the second only after losses of less
# than so many allowances, or that may be within one by their interval: where the validation set is
# small against the bar, calibrations differ by chance, and all are faster than reverting groups.
_OTHERS = 2
_CLOSE = 3.0

# Latencies are measured with about this error: a smaller advantage of fp32 is none.
_MARGIN = 0.05

# Groups of at least this share of the error are repaired before any is reverted, so many at most.
_GUILTY = 0.03
_REPAIRED = 4

# A group that seems to cause no error counts this share of the least that seems to.
_NEGLIGIBLE = 0.1


class Bisection(Strategy):
    """See the module's description."""

    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield the fastest configuration, then ever better ones that lose less accuracy."""
        best: Trial | None = None
        count = 0
        for config in self.calibrations():
            trial = yield self._fastest(config)
            count += 1
            if trial.met:
                return
            if best is None or trial.excess() < best.excess():
                best = trial
            if count > 1 and best.excess() > _CLOSE and not _undecided(best):
                break
        if best is None or not self.context.space.free:
            return
        ladder = self._ladder(best.config)
        yield from self._bisect(ladder, best, MAX_EVALUATIONS - count)

    def _fastest(self, config: TuningConfig) -> TuningConfig:
        """Leave those groups in fp32 that are measured to be clearly faster there."""
        costs = self.context.costs
        if costs is None:
            return config
        required = {group.name for group in self.context.space.required}
        favoured = costs.favouring_int8(_MARGIN)
        int8 = allocate(
            favoured, fixed_int8=required & costs.groups, fixed_fp32=config.fp32 & costs.groups
        )
        slower = costs.groups - int8 - config.fp32
        candidate = config.with_fp32(slower)
        saved = 1 - predict(costs, candidate.fp32) / predict(costs, config.fp32)
        if saved < _MARGIN:
            return config
        if self.context.compare is not None:
            self.context.note("measuring the latency of configurations", 0, 1)
            plain, mixed = self.context.compare([config, candidate])
            saved = 1 - mixed / plain
        if saved < _MARGIN / 2:
            return config
        self.slower = slower
        return candidate

    def _ladder(self, config: TuningConfig) -> list[TuningConfig]:
        """Return configurations of falling label-free error and rising latency."""
        context, space = self.context, self.context.space
        candidates = [group for group in space.free if group.name not in config.fp32]
        found = sensitivities(candidates, config, context.probe, context.note)
        self.sensitivity = found
        config = self._repaired(config, found)
        shares = {name: max(value, 0.0) for name, value in found.items()}
        # Any group is worth reverting in the end, if not before all that seem to matter more.
        least = min((v for v in shares.values() if v > 0), default=1.0)
        shares = {name: max(value, least * _NEGLIGIBLE) for name, value in shares.items()}
        required = frozenset(group.name for group in space.required)
        costs = context.costs or by_macs(space.int8_groups)
        known = costs.groups
        front = pareto(costs, shares, fixed_int8=required & known, fixed_fp32=config.fp32 & known)
        front = refine(costs, front, shares)
        steps = [config.with_fp32(one.fp32 - required) for one in front]
        return [step for step in steps if step.fp32 > config.fp32]

    def calibrations(self) -> list[TuningConfig]:
        """Return the calibration of least label-free error, and others that come close.

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
            ((config.equalization > 0) == (best.equalization > 0), found, config)
            for found, config in zip(errors, grid, strict=True)
            if found <= _COMPARABLE * least
            and (config.activation_algorithm, config.equalization > 0)
            != (best.activation_algorithm, best.equalization > 0)
        ]
        # The one that differs most is the likeliest to be misjudged.
        ranked = sorted(others, key=lambda one: one[:2])[:_OTHERS]
        return [best, *(config for _, _, config in ranked)]

    def _repaired(self, config: TuningConfig, found: Mapping[str, float]) -> TuningConfig:
        """Give the most harmful groups another range algorithm where that lowers the error."""
        probe, space = self.context.probe, self.context.space
        least = probe(config)
        guilty = [name for name, value in found.items() if value > _GUILTY * least]
        worst = sorted(guilty, key=lambda name: (-found[name], name))[:_REPAIRED]
        for done, name in enumerate(worst):
            self.context.note("repairing the ops that cause the error", done, len(worst))
            for algorithm in space.algorithms_of(name):
                if algorithm == config.algorithm(name):
                    continue
                overrides = {**config.activation_overrides, name: algorithm}
                candidate = replace(config, activation_overrides=overrides)
                error = probe(candidate)
                if error < least:
                    config, least = candidate, error
        return config

    def _bisect(
        self, ladder: Sequence[TuningConfig], plain: Trial, evaluations: int
    ) -> Generator[TuningConfig, Trial, None]:
        """Find the first step of a ladder that meets the bar; step 0 is ``plain``, which misses."""
        missed, met = 0, len(ladder) + 1  # one beyond: no step is known to meet the bar yet
        if ladder and not self.context.space.required and not self._any_int8(ladder[-1]):
            met = len(ladder)  # all in fp32 is the network as given
        evidence = {0: plain.excess()}
        found: Trial | None = None
        # The budget is for making a set smaller; a first one is worth whatever it takes.
        while met - missed > 1 and (len(evidence) <= evaluations or found is None):
            number = self._guess(plain.config, ladder, evidence, missed, met)
            trial = yield ladder[number - 1]
            evidence[number] = trial.excess()
            if trial.met:
                met, found = number, trial
            else:
                missed = number
        if found is None:
            yield from self._finer(ladder[missed - 1] if missed else plain.config)
        elif self.context.keep_going:
            yield from self._swap(found, plain.config)

    def _finer(self, config: TuningConfig) -> Generator[TuningConfig, Trial, None]:
        """Go on from the last step of the list that misses the bar, in an order of our own.

        The list holds best trades only, so its last one before all in fp32 may leave much in int8.
        """
        free = {group.name for group in self.context.space.free} - config.fp32
        names = sorted(free, key=lambda name: (-self.sensitivity.get(name, 0.0), name))
        missed, met = 0, len(names)  # all of them in fp32 is the network as given
        while met - missed > 1:
            number = (missed + met) // 2
            trial = yield config.with_fp32(names[:number])
            missed, met = (missed, number) if trial.met else (number, met)

    def _any_int8(self, config: TuningConfig) -> bool:
        """Tell whether a configuration leaves anything in int8."""
        return any(group.name not in config.fp32 for group in self.context.space.int8_groups)

    def _swap(self, found: Trial, plain: TuningConfig) -> Generator[TuningConfig, Trial, None]:
        """Let reverted groups be int8 again, one by one, while the bar is still met."""
        costs = self.context.costs or by_macs(self.context.space.int8_groups)
        best = found.config

        def gain(name: str) -> float:
            return predict(costs, best.fp32) - predict(costs, best.fp32 - {name})

        for name in sorted(best.fp32 - plain.fp32, key=lambda one: (-gain(one), one)):
            candidate = replace(best, fp32=best.fp32 - {name})
            if predict(costs, candidate.fp32) >= predict(costs, best.fp32):
                continue
            trial = yield candidate
            if trial.met:
                best = candidate

    def _guess(
        self,
        plain: TuningConfig,
        ladder: Sequence[TuningConfig],
        evidence: dict[int, float],
        missed: int,
        met: int,
    ) -> int:
        """Return the next step to try, strictly between ``missed`` and ``met``."""
        excess = evidence[0]
        if len(evidence) > 1 or not 1 < excess < 1e6:
            return (missed + met) // 2
        wanted = self.context.probe(plain) * _TARGET / excess
        low, high = missed + 1, min(met - 1, len(ladder))
        while low < high:
            middle = (low + high) // 2
            if self.context.probe(ladder[middle - 1]) <= wanted:
                high = middle
            else:
                low = middle + 1
        return low


def _undecided(trial: Trial) -> bool:
    """Tell whether a trial that missed the bar may have missed it by chance."""
    return trial.interval is not None and trial.interval["low"] <= trial.allowance
