"""What the plot compares trials by: the cost of the objective, or what is known of latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lpot_examples.report.document import Report, TrialEntry

BYTES: Mapping[str, str] = {"modelsize": "file size, MB", "footprint": "peak memory, MB"}
"""Objective that is counted in bytes → what its column and its axis are called."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What trials cost.

    Attributes:
        title: What the axis shows.
        values: One for each trial that was given; None where it is not known.
        fp32: That of the fp32 network, or None where it is not known.
        absent: What is not shown, and why.
        whole: Whether only whole numbers make sense.
        unit: Behind a number, in words.
    """

    title: str
    values: tuple[float | None, ...]
    fp32: float | None
    absent: str = ""
    whole: bool = False
    unit: str = ""


def trial_costs(report: Report, trials: Sequence[TrialEntry]) -> Cost:
    """Return what trials cost by the objective; by their latency where that is not known.

    Of several objectives the one of most weight counts, accuracy aside, which has an axis of its
    own.
    """
    name = _main_objective(report)
    if name not in BYTES:
        return _latency(report, trials)
    values = tuple(megabytes(trial, name) for trial in trials)
    unknown = sum(value is None for value in values)
    if unknown == len(values):
        missing = f"The {name} is not known of any trial. "
        cost = _latency(report, trials)
        return replace(cost, absent=missing + cost.absent)
    fp32 = report.size_bytes.fp32 if name == "modelsize" else None
    absent = ""
    if unknown:
        what = "trial is" if unknown == 1 else "trials are"
        absent = f"{unknown} {what} not drawn: {_WHY.get(name, 'the cost is not known')}."
    return Cost(
        title=BYTES[name],
        values=values,
        fp32=None if fp32 is None else fp32 / 1e6,
        absent=absent,
        unit="MB",
    )


_WHY = {"footprint": "the peak memory is measured only where the bar is met"}


def megabytes(trial: TrialEntry, objective: str) -> float | None:
    """Return a trial's cost by an objective that is counted in bytes, or None."""
    value = trial.costs.get(objective)
    return None if value is None else value / 1e6


def _main_objective(report: Report) -> str:
    objective = report.search.objective
    weights = objective.weights or (1.0,) * len(objective.names)
    pairs = zip(objective.names, weights, strict=False)
    others = [(name, weight) for name, weight in pairs if name != "accuracy"]
    return max(others, key=lambda pair: pair[1], default=("performance", 1.0))[0]


def _latency(report: Report, trials: Sequence[TrialEntry]) -> Cost:
    """Return the best measure that is known of all trials: latency, its estimate, or groups."""
    fp32 = estimated_ms(report, None)
    if fp32 is not None:
        return Cost(
            title="estimated latency, ms",
            values=tuple(estimated_ms(report, trial) for trial in trials),
            fp32=fp32,
            absent="Latency was not measured for each trial; it is the sum of what its groups and "
            "the boundaries between them took.",
            unit="ms (estimated)",
        )
    if all(trial.latency is not None for trial in trials):
        timing = report.latency_ms.fp32
        return Cost(
            title="measured latency, ms",
            values=tuple(trial.latency for trial in trials),
            fp32=None if timing is None else timing.p50,
            unit="ms",
        )
    able = able_groups(report)
    return Cost(
        title="groups left in fp32 (fewer is faster)",
        values=tuple(float(len(trial.config.fp32)) for trial in trials),
        fp32=float(len(able)) if able else None,
        absent="Latency was not measured for each trial, so the plot shows how many groups stay "
        "fp32.",
        whole=True,
    )


def estimated_ms(report: Report, trial: TrialEntry | None) -> float | None:
    """Return a trial's latency, or that of fp32, from the measured map; None without one."""
    entry = report.search.latency_map
    if entry is None:
        return None
    if trial is not None and trial.latency is not None:
        return trial.latency  # what the search took it to be, from the same map
    from lpot_examples.graph.latency import LatencyMap
    from lpot_examples.search.allocation import predict

    costs = LatencyMap.from_dict(entry.model_dump())
    return costs.cost(frozenset()) if trial is None else predict(costs, set(trial.config.fp32))


def able_groups(report: Report) -> set[str]:
    """Return the groups that are int8, or fp32 by choice of the configuration alone."""
    return {
        op.group
        for op in report.ops
        if op.group and op.name == op.group and (op.precision == "int8" or op.group in report.kept)
    }
