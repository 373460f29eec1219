"""Latency under load: requests that arrive on their own account, at shares of the saturation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lpot_examples.benchmark.load import ForeignLoad
from lpot_examples.benchmark.serving.arrivals import poisson
from lpot_examples.benchmark.serving.fleet import Fleet
from lpot_examples.benchmark.serving.remarks import Remarks
from lpot_examples.benchmark.serving.result import LoadCurve, LoadPoint, Served, names_of

LEVELS = (0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95)
"""Shares of the saturation that are offered."""

FEW_LEVELS = (0.5, 0.8, 0.9)
"""Those that are offered where there is time for few requests only."""

SHARE_UNDER_LOAD = 0.4
"""Share of the time of a measurement that is spent on load."""

# The queue is empty at first; requests of this share of a turn do not count.
_FILLING = 0.2
_PASSES = 2
_FOREIGN_LIMIT = 0.10
# So many requests make a p99; with fewer in view, fewer curves and levels are measured instead.
_ENOUGH = 100
# A percentile of fewer requests than this says nothing.
_FEWEST = 20
_REFINEMENTS = 2
_SHORTEST_TURN = 0.1


@dataclass(eq=False)
class _Point:
    """One level of one curve while it is measured."""

    served: Served
    level: float
    seconds: float
    passes: list[tuple[NDArray[np.float64], float | None]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.level * self.served.throughput / self.served.setting.batch

    @property
    def expected(self) -> float:
        """Requests that will count."""
        return self.rate * self.seconds * _PASSES * (1 - _FILLING)

    @property
    def enough(self) -> bool:
        return self.expected >= _FEWEST

    def result(self) -> LoadPoint | None:
        """Return the quiet passes, or all of them if none is quiet."""
        passes = [one for one in self.passes if len(one[0])]
        if not passes:
            return None
        quiet = [one for one in passes if (one[1] or 0.0) <= _FOREIGN_LIMIT]
        kept = quiet or passes
        known = [foreign for _, foreign in kept if foreign is not None]
        return LoadPoint(
            level=self.level,
            offered=self.rate,
            passes_ms=tuple(samples for samples, _ in kept),
            foreign=float(np.mean(known)) if known else None,
        )


def measure_load(
    fleet: Fleet,
    chosen: Sequence[Served],
    *,
    seconds: float,
    latency_limit: float | None = None,
    seed: int = 0,
    remarks: Remarks | None = None,
) -> tuple[LoadCurve, ...]:
    """Measure latency at several loads, in passes over all curves and levels.

    More time goes to the ends of a curve: to high loads, where the queue changes slowly, and to
    low ones, where few requests come.

    Args:
        fleet: Runs the settings; they have been prepared and tried.
        chosen: The settings, with their measured throughput.
        seconds: Time for all of it.
        latency_limit: Milliseconds for p99; the load at which it is reached is looked for between
            the levels.
        seed: Seed of the arrivals.
        remarks: Told what was left out.

    Returns:
        One curve for each setting.
    """
    if not chosen:
        return ()
    refinements = _REFINEMENTS if latency_limit is not None else 0
    chosen, points = _plan(chosen, seconds, refinements=refinements)
    possible = [point for point in points if point.enough]
    load = ForeignLoad(fleet.cores)
    for number in range(_PASSES):
        for index, point in enumerate(possible):
            _play(fleet, load, point, seed=seed + 1000 * number + index)
    for _ in range(refinements):
        for served in chosen:
            own = [point for point in possible if point.served is served]
            between = _between(own, latency_limit or 0.0)
            if between is not None:
                for number in range(_PASSES):
                    _play(fleet, load, between, seed=seed + 1000 * (_PASSES + number))
                possible.append(between)
    if remarks is not None:
        _remark(points, possible, remarks)
    return tuple(filter(None, (_curve(served, possible) for served in chosen)))


def _plan(
    chosen: Sequence[Served], seconds: float, *, refinements: int
) -> tuple[list[Served], list[_Point]]:
    """Share the time out: two curves of each subject, or one, or that with few levels."""
    subjects = names_of(chosen)
    groups = [[one for one in chosen if one.setting.subject == name] for name in subjects]
    curves: list[Served] = []
    points: list[_Point] = []
    for most, levels in ((2, LEVELS), (1, LEVELS), (1, FEW_LEVELS)):
        curves, points = [], []
        for group in groups:
            own = group[:most]
            weights = {level: min(level, 1 - level) ** -0.5 for level in levels}
            shares = sum(weights.values()) + refinements * max(weights.values())
            unit = seconds / len(groups) / len(own) / shares / _PASSES
            curves += own
            points += [
                _Point(served, level, max(_SHORTEST_TURN, unit * weights[level]))
                for served in own
                for level in levels
            ]
        planned = sum(point.seconds for point in points) * _PASSES
        requests = np.median([point.expected for point in points])
        if planned <= seconds and requests >= _ENOUGH:
            break
    return curves, points


def _play(fleet: Fleet, load: ForeignLoad, point: _Point, *, seed: int) -> None:
    arrivals = poisson(point.rate, point.seconds, seed=seed)
    load.start(own_seconds=fleet.cpu_seconds())
    latencies = fleet.serve(point.served.setting, arrivals)
    foreign = load.share(own_seconds=fleet.cpu_seconds())
    point.passes.append((latencies[arrivals >= _FILLING * point.seconds] * 1e3, foreign))


def _between(own: Sequence[_Point], limit_ms: float) -> _Point | None:
    """Return a level midway between the last within the limit, or 0, and the first beyond it."""
    below = 0.0
    for point in sorted(own, key=lambda point: point.level):
        result = point.result()
        if result is None:
            continue
        if result.percentile(99) > limit_ms:
            between = _Point(point.served, (below + point.level) / 2, point.seconds)
            return between if between.enough else None
        below = point.level
    return None


def _curve(served: Served, points: Sequence[_Point]) -> LoadCurve | None:
    own = sorted((p for p in points if p.served is served), key=lambda point: point.level)
    results = tuple(result for point in own if (result := point.result()) is not None)
    if not results:
        return None
    saturation = served.throughput / served.setting.batch
    return LoadCurve(setting=served.setting, saturation=saturation, points=results)


def _remark(points: Sequence[_Point], possible: Sequence[_Point], remarks: Remarks) -> None:
    missing = sum(not point.enough for point in points)
    if missing:
        remarks.add(
            f"{missing} of {len(points)} loads are left out, as fewer than {_FEWEST} requests come "
            "in the time there is for them. Give more --seconds."
        )
    results = [result for point in possible if (result := point.result()) is not None]
    noisy = [result for result in results if (result.foreign or 0.0) > _FOREIGN_LIMIT]
    if noisy:
        remarks.add(
            f"Noisy: during {len(noisy)} of {len(results)} measurements under load other "
            f"processes used more than {_FOREIGN_LIMIT:.0%} of the cores."
        )
