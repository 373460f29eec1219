"""Where things lie in the charts: positions in percent of the plot, so that it fits any width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lpot_examples.report.document import Report, TrialEntry


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: its place in percent of the axis, and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """A linear axis.

    Attributes:
        low: Value at 0 %.
        high: Value at 100 %, above `low`.
        ticks: Its marks.
    """

    low: float
    high: float
    ticks: tuple[Tick, ...]

    def at(self, value: float) -> float:
        """Return the place of a value, in percent."""
        return round(100 * (value - self.low) / (self.high - self.low), 3)


def axis(values: Sequence[float], *, whole: bool = False, wanted: int = 5) -> Axis:
    """Return an axis that holds all values with some room, and has round ticks.

    Args:
        values: Finite numbers, at least one.
        whole: Whether only whole numbers make sense.
        wanted: About how many ticks.
    """
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - room, high + room
    step = _round_step((high - low) / wanted)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step), math.floor(high / step)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if whole and min(values) >= 0:
        first = max(first, 0)  # counts have no marks below 0
    marks = [index * step for index in range(first, last + 1)]
    empty = Axis(low, high, ())
    ticks = (Tick(empty.at(mark), f"{mark + 0.0:,.{decimals}f}") for mark in marks)
    return Axis(low, high, tuple(tick for tick in ticks if 0 <= tick.at <= 100))


def _round_step(step: float) -> float:
    """Return the next of 1, 2, 5, 10, … × 10ⁿ."""
    power: float = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


@dataclass(frozen=True, kw_only=True)
class Point:
    """A trial, or the fp32 network, in the plot of trials.

    Attributes:
        x: Place from the left, in percent.
        y: Place from the top, in percent.
        kind: ``fp32``, ``winner``, ``met`` or ``missed``.
        tip: What it is, in words.
        missed: Whether it is a trial that misses the bar.
        label: Text beside it, or an empty string.
        anchor: ``start`` or ``end``: the side on which the label begins or ends.
        below: Whether the label goes below it.
    """

    x: float
    y: float
    kind: str
    tip: str
    missed: bool = False
    label: str = ""
    anchor: str = "start"
    below: bool = False


# Kinds of points, those drawn first first.
_LAYERS = ("missed", "met", "fp32", "winner")


@dataclass(frozen=True)
class Segment:
    """A straight line, in percent."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, kw_only=True)
class TrialPlot:
    """Accuracy of the trials against their cost.

    Attributes:
        x: The cost's axis, the cheapest on the left.
        y: The score's axis; places are from the bottom.
        x_title: What is on it.
        y_title: What is on it.
        points: In the order in which they are drawn.
        frontier: The best score at each cost, as a line of steps.
        bar: Place of the bar from the top, or None.
        pass_above: Whether scores above the bar meet it.
        fp32_line: Place of the fp32 score from the top, where it is not a point.
        absent: What is not shown, and why.
    """

    x: Axis
    y: Axis
    x_title: str
    y_title: str
    points: tuple[Point, ...]
    frontier: tuple[Segment, ...]
    bar: float | None
    pass_above: bool
    fp32_line: float | None
    absent: str


@dataclass(frozen=True, kw_only=True)
class _Cost:
    """What the trials are compared by.

    Attributes:
        title: What the axis shows.
        values: One for each trial that has a score.
        fp32: That of the fp32 network, or None where it is not known.
        absent: What is not shown, and why.
        whole: Whether only whole numbers make sense.
    """

    title: str
    values: tuple[float, ...]
    fp32: float | None
    absent: str = ""
    whole: bool = False


def _cost(report: Report, trials: Sequence[TrialEntry]) -> _Cost:
    """Return the best measure that is known of all trials: latency, its estimate, or groups."""
    measured = [trial.latency for trial in trials if trial.latency is not None]
    if len(measured) == len(trials):
        timing = report.latency_ms.fp32
        return _Cost(
            title="measured latency, ms",
            values=tuple(measured),
            fp32=None if timing is None else timing.p50,
        )
    fp32 = estimated_ms(report, None)
    estimates = [estimated_ms(report, trial) for trial in trials]
    if fp32 is not None:
        return _Cost(
            title="estimated latency, ms",
            values=tuple(estimate or 0.0 for estimate in estimates),
            fp32=fp32,
            absent="Latency was not measured for each trial; it is the sum of what its groups and "
            "the boundaries between them took.",
        )
    able = able_groups(report)
    return _Cost(
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


def trial_plot(report: Report, winner: int | None) -> TrialPlot | None:
    """Return the plot of a run's trials, or None if no trial has a score.

    Args:
        report: The report.
        winner: Index of the shipped trial, or None.
    """
    scored = [trial for trial in report.search.history if trial.score is not None]
    fp32 = report.accuracy.fp32
    if not scored or fp32 is None:
        return None
    cost = _cost(report, scored)
    higher = report.accuracy.criterion.higher_is_better
    bar = fp32 - scored[0].allowance if higher else fp32 + scored[0].allowance
    reference, costs = cost.fp32, cost.values
    x = axis([*costs, *([] if reference is None else [reference])], whole=cost.whole)
    y = axis([*(trial.score or 0.0 for trial in scored), fp32, bar])
    points = [
        _trial_point(trial, x.at(at), 100 - y.at(trial.score or 0.0), trial.index == winner)
        for trial, at in zip(scored, costs, strict=True)
    ]
    if reference is not None:
        tip = f"fp32 network: {fp32:.4f}"
        points.append(_labelled("fp32", x.at(reference), 100 - y.at(fp32), "fp32", tip))
    failed = len(report.search.history) - len(scored)
    missing = (
        f" {failed} trial{'s' * (failed != 1)} without a score cannot be drawn." if failed else ""
    )
    return TrialPlot(
        x=x,
        y=y,
        x_title=cost.title,
        y_title=report.accuracy.metric or "score",
        points=tuple(sorted(_untangled(points), key=lambda point: _LAYERS.index(point.kind))),
        frontier=_frontier(points, higher),
        bar=round(100 - y.at(bar), 3),
        pass_above=higher,
        fp32_line=None if reference is not None else round(100 - y.at(fp32), 3),
        absent=(cost.absent + missing).strip(),
    )


def _trial_point(trial: TrialEntry, x: float, y: float, winner: bool) -> Point:
    config = trial.config
    tip = (
        f"trial {trial.index}: {trial.score:.4f}, {'meets' if trial.met else 'misses'} the bar; "
        f"{len(config.fp32)} groups in fp32, {config.activation_algorithm}/"
        f"{config.weight_algorithm}{'' if trial.latency is None else f'; {trial.latency:.2f} ms'}"
    )
    if winner:
        point = _labelled("winner", x, y, f"trial {trial.index}, shipped", tip)
        return replace(point, missed=not trial.met)
    kind = "met" if trial.met else "missed"
    return Point(x=x, y=y, kind=kind, tip=tip, missed=not trial.met)


def _labelled(kind: str, x: float, y: float, label: str, tip: str) -> Point:
    anchor = "end" if x > 60 else "start"
    return Point(x=x, y=y, kind=kind, tip=tip, label=label, anchor=anchor, below=y < 12)


def _untangled(points: list[Point]) -> list[Point]:
    """Put the labels of the winner and of fp32 on different sides where the two are close."""
    marked = {point.kind: point for point in points if point.label}
    if len(marked) < 2:
        return points
    fp32, winner = marked["fp32"], marked["winner"]
    if abs(fp32.y - winner.y) > 12 or abs(fp32.x - winner.x) > 45:
        return points
    lower = fp32 if fp32.y > winner.y else winner
    return [replace(p, below=p is lower) if p.label else p for p in points]


def _frontier(points: list[Point], higher: bool) -> tuple[Segment, ...]:
    """Return steps along the points that no other one beats in both cost and score."""
    sense = 1 if higher else -1
    ordered = sorted(points, key=lambda point: (point.x, sense * point.y))
    best: list[Point] = []
    for point in ordered:
        if not best or sense * point.y < sense * best[-1].y:
            best.append(point)
    steps: list[Segment] = []
    for left, right in zip(best, best[1:], strict=False):
        steps.append(Segment(left.x, left.y, right.x, left.y))
        steps.append(Segment(right.x, left.y, right.x, right.y))
    return tuple(steps)


@dataclass(frozen=True, kw_only=True)
class LossLine:
    """The loss against the bar on one line; all places in percent from the left.

    Attributes:
        axis: Loss in the unit of ``unit``.
        unit: ``%`` for a relative bar, else the metric's name.
        loss: Place of the loss.
        zero: Place of no loss.
        bar: Place of the greatest loss allowed.
        low: Place of the interval's lower end, or None.
        high: Place of its upper end, or None.
    """

    axis: Axis
    unit: str
    loss: float
    zero: float
    bar: float
    low: float | None
    high: float | None


def loss_line(report: Report) -> LossLine | None:
    """Return the loss beside the bar, or None if accuracy was not checked."""
    accuracy, bar = report.accuracy, report.accuracy.criterion
    if accuracy.drop_absolute is None or accuracy.fp32 is None:
        return None
    relative = bar.absolute is None and bool(accuracy.fp32)
    scale = 100 / abs(accuracy.fp32) if relative else 1.0
    allowed = 100 * (bar.relative or 0.0) if relative else bar.absolute or 0.0
    loss = scale * accuracy.drop_absolute
    ends: tuple[float, ...] = ()
    if accuracy.interval is not None and relative and accuracy.interval.relative is not None:
        ends = (100 * accuracy.interval.relative.low, 100 * accuracy.interval.relative.high)
    elif accuracy.interval is not None:
        ends = (scale * accuracy.interval.low, scale * accuracy.interval.high)
    line = axis([0.0, allowed, loss, *ends])
    return LossLine(
        axis=line,
        unit="%" if relative else accuracy.metric or "",
        loss=line.at(loss),
        zero=line.at(0.0),
        bar=line.at(allowed),
        low=line.at(ends[0]) if ends else None,
        high=line.at(ends[1]) if ends else None,
    )
