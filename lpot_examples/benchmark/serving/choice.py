"""Which settings are measured longer, and which one is the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.benchmark.serving.layouts import Setting
from lpot_examples.benchmark.serving.result import Served, names_of
from lpot_examples.benchmark.stats import Speedup, median_interval

# A short pass is good to some per cent; what is further behind than this is not the best.
_REACH = 0.85
# Where only the best of all models matters, a model this far behind is not looked at again.
_CONTEST = 0.7
_MOST_FINALISTS = 3
# Where noise leaves it open which of two is better, the simpler one is taken if it costs no more
# than this; beyond, the one that was measured to be better.
_ALIKE = 1.05


def pareto_front(
    points: Iterable[Served],
) -> list[Served]:
    """Return the settings that no other one beats in both throughput and p99, fastest calls first.

    Args:
        points: Settings of one subject or of several.
    """
    front: list[Served] = []
    for one in sorted(points, key=lambda one: (one.stats.p99, -one.throughput)):
        if not front or one.throughput > front[-1].throughput:
            front.append(one)
    return front


def predicted_p99(served: Served, level: float) -> float:
    """Estimate p99 of the latency at a level of load, from calls that were timed back to back.

    The wait in a queue is taken to be beyond t with probability
    ρ·exp(−2(1−ρ)t / (s(a² + b²))), with s the mean and b² the squared coefficient of variation of
    a call, and a² that of the time between arrivals: 1/k, as each of k instances gets every k-th
    request of a Poisson process (Kingman 1962, the heavy-traffic limit; Gross and others,
    Fundamentals of Queueing Theory, section 7.1.3). It is used to choose what to measure, never as
    a result.

    Args:
        served: The setting.
        level: Load as a share of saturation, ρ, in (0, 1).

    Returns:
        Milliseconds.
    """
    stats = served.stats
    spread = 1 / served.setting.layout.instances + (stats.std / stats.mean) ** 2
    wait = max(0.0, math.log(level / 0.01)) * stats.mean * spread / (2 * (1 - level))
    return max(stats.p99, stats.mean + wait)


def predicted_throughput(served: Served, limit_ms: float) -> float:
    """Estimate the samples per second at which p99 is within a limit; 0 if it never is."""
    levels = [step / 20 for step in range(1, 20)]
    within = [level for level in levels if predicted_p99(served, level) <= limit_ms]
    return max(within, default=0.0) * served.throughput


def finalists(
    screened: Sequence[Served],
    *,
    latency_limit: float | None = None,
    threads: bool = False,
    contest: bool = False,
) -> dict[Setting, int]:
    """Return the settings to measure in long rounds: of each subject those in reach of the best.

    They come with their rank and are ordered by it, every subject's best ones first, with a rank
    of 0. Candidates are the highest
    throughput, the highest one at the smallest batch, the shortest call of a single instance at
    that batch, and under a limit the highest predicted throughput.

    Args:
        screened: Settings from the short pass.
        latency_limit: Milliseconds for p99.
        threads: Whether the number of threads with the shortest call is wanted.
        contest: Whether only the best over all subjects is wanted; subjects far behind are left
            out then.
    """
    smallest = min(one.setting.batch for one in screened)

    def single(one: Served) -> float:
        alone = one.setting.layout.instances == 1 and one.setting.batch == smallest
        return 1 / one.stats.p50 if alone else 0.0

    merits: list[tuple[Callable[[Served], float], int]] = [
        (lambda one: one.throughput, _MOST_FINALISTS),
        (lambda one: one.throughput if one.setting.batch == smallest else 0.0, 1),
        (single, _MOST_FINALISTS if threads else 1),
    ]
    if latency_limit is not None:
        limit = latency_limit
        merits.append((lambda one: predicted_throughput(one, limit), _MOST_FINALISTS))
    ranks: dict[Setting, int] = {}
    for merit, most in merits:
        best = max(map(merit, screened))
        for subject in names_of(screened):
            own = [one for one in screened if one.setting.subject == subject]
            if contest and max(map(merit, own)) < _CONTEST * best:
                continue
            for rank, setting in enumerate(_in_reach(own, merit, most)):
                ranks[setting] = min(rank, ranks.get(setting, rank))
    return dict(sorted(ranks.items(), key=lambda one: one[1]))


def _in_reach(own: Sequence[Served], merit: Callable[[Served], float], most: int) -> list[Setting]:
    ranked = sorted(own, key=merit, reverse=True)[:most]
    best = merit(ranked[0])
    return [one.setting for one in ranked if best > 0 and merit(one) >= _REACH * best]


def to_load(
    finals: Sequence[Served], *, latency_limit: float | None = None, most: int = 2
) -> list[Served]:
    """Return the settings whose latency under load is measured, at most two of each subject.

    Without a limit the highest throughput at the smallest batch, and the highest of all; with one
    the two that are predicted to serve most within it. The more telling one comes first.
    """
    chosen: list[Served] = []
    smallest = min(one.setting.batch for one in finals)
    for subject in names_of(finals):
        own = [one for one in finals if one.setting.subject == subject]
        if latency_limit is None:
            small = [one for one in own if one.setting.batch == smallest]
            picked = [max(group, key=lambda one: one.throughput) for group in (small, own) if group]
        else:
            limit = latency_limit
            picked = sorted(own, key=lambda one: predicted_throughput(one, limit), reverse=True)
            picked = [one for one in picked if predicted_throughput(one, limit) > 0]
        chosen += list(dict.fromkeys(picked[:most]))
    return chosen


@dataclass(frozen=True, eq=False)
class Candidate:
    """A setting and what it is worth, round by round; more is better.

    Attributes:
        served: The setting and its figures.
        merits: Float64 [rounds], of the same rounds for all candidates.
    """

    served: Served
    merits: NDArray[np.float64]

    @property
    def merit(self) -> float:
        """The median over the rounds."""
        return float(np.median(self.merits))

    def over(self, other: Candidate) -> Speedup:
        """Return how many times as good as another one it is, paired by round."""
        ratios = self.merits / other.merits
        return Speedup(float(np.median(ratios)), median_interval(ratios))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The best candidate.

    Attributes:
        best: The choice.
        runner_up: The best one of another subject; of the same where there is no other; None where
            there is no other candidate.
        ratio: How many times as good as the runner-up the choice is.
        equals: Candidates that are as good as the choice.
    """

    best: Candidate
    runner_up: Candidate | None
    ratio: Speedup | None
    equals: tuple[Candidate, ...]

    @property
    def settled(self) -> bool:
        """Whether the choice beats the runner-up by more than noise."""
        return self.ratio is None or self.ratio.interval.low > 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the choice as JSON values."""
        return {
            "chosen": self.best.served.to_dict(),
            "runner_up": None if self.runner_up is None else self.runner_up.served.to_dict(),
            "ratio": None if self.ratio is None else self.ratio.to_dict(),
            "equal_within_noise": not self.settled,
            "equals": [one.served.setting.key for one in self.equals],
        }


def choose(candidates: Sequence[Candidate], *, subjects: Sequence[str]) -> Choice:
    """Return the best candidate, and of those that are equal to it the simplest.

    Equal are those that noise does not tell apart and whose medians are within 5 %. Simpler is:
    fewer instances, then the subject listed first, fewer cores, the smaller batch.

    Args:
        candidates: At least one.
        subjects: Names in the user's order.
    """

    def plainness(one: Candidate) -> tuple[int, int, int, int]:
        setting = one.served.setting
        layout = setting.layout
        return layout.instances, subjects.index(setting.subject), layout.cores, setting.batch

    top = max(candidates, key=lambda one: one.merit)
    lead = {id(one): top.over(one) for one in candidates}
    tied = [
        one
        for one in candidates
        if one is top or (lead[id(one)].interval.low <= 1.0 and lead[id(one)].value <= _ALIKE)
    ]
    best = min(tied, key=plainness)
    rest = [one for one in candidates if one is not best]
    others = [one for one in rest if one.served.setting.subject != best.served.setting.subject]
    runner_up = max(others or rest, key=lambda one: one.merit, default=None)
    return Choice(
        best=best,
        runner_up=runner_up,
        ratio=None if runner_up is None else best.over(runner_up),
        equals=tuple(one for one in tied if one is not best),
    )
