"""Where things lie in the charts: positions in percent of the plot, so that it fits any width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lpot_examples.report.costs import trial_costs
from lpot_examples.report.document import Bar, MetricEntry, Report, TrialEntry
from lpot_examples.report.settings import settings


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
class _Height:
    """What the trials reach.

    Attributes:
        title: What the axis shows.
        values: One for each trial that was given.
        fp32: That of the fp32 network.
        bar: Where the bar is.
        higher: Whether more is better.
    """

    title: str
    values: tuple[float, ...]
    fp32: float
    bar: float
    higher: bool


def _height(report: Report, trials: Sequence[TrialEntry], fp32: float) -> _Height:
    """Return the score; of several metrics how much is used of what may be lost.

    Where some metric may lose nothing there is no such share, and the first metric is shown.
    """
    accuracy = report.accuracy
    used = [trial.used for trial in trials]
    if accuracy.several and None not in used:
        return _Height(
            title="loss, % of what is allowed",
            values=tuple(100 * (share or 0.0) for share in used),
            fp32=0.0,
            bar=100.0,
            higher=False,
        )
    allowance = accuracy.metrics[0].allowance if accuracy.several else trials[0].allowance
    higher = accuracy.criterion.higher_is_better
    return _Height(
        title=accuracy.metric or "score",
        values=tuple(trial.score or 0.0 for trial in trials),
        fp32=fp32,
        bar=fp32 - allowance if higher else fp32 + allowance,
        higher=higher,
    )


def trial_plot(report: Report, winner: int | None) -> TrialPlot | None:
    """Return the plot of a run's trials, or None if no trial has a score.

    Args:
        report: The report.
        winner: Index of the shipped trial, or None.
    """
    history, fp32 = report.search.history, report.accuracy.fp32
    scored = [trial for trial in history if trial.score is not None]
    if not scored or fp32 is None:
        return None
    cost = trial_costs(report, scored)
    pairs = zip(scored, cost.values, strict=True)
    drawn = [trial for trial, value in pairs if value is not None]
    costs = [value for value in cost.values if value is not None]
    height = _height(report, drawn, fp32)
    x = axis([*costs, *([] if cost.fp32 is None else [cost.fp32])], whole=cost.whole)
    y = axis([*height.values, height.fp32, height.bar])
    said = settings([trial.config for trial in drawn])[0]
    points = [
        _trial_point(
            trial,
            (x.at(value), 100 - y.at(reached)),
            tip=_tip(trial, words, f"{value:.2f} {cost.unit}" if cost.unit else ""),
            winner=trial.index == winner,
        )
        for trial, value, reached, words in zip(drawn, costs, height.values, said, strict=True)
    ]
    fp32_y = 100 - y.at(height.fp32)
    if cost.fp32 is not None:
        scores = {metric.name: metric.fp32 for metric in report.accuracy.metrics}
        tip = f"fp32 network: {_scores(scores, fp32)}"
        points.append(_labelled("fp32", x.at(cost.fp32), fp32_y, label="fp32", tip=tip))
    return TrialPlot(
        x=x,
        y=y,
        x_title=cost.title,
        y_title=height.title,
        points=tuple(sorted(_untangled(points), key=lambda point: _LAYERS.index(point.kind))),
        frontier=_frontier(points, height.higher),
        bar=round(100 - y.at(height.bar), 3),
        pass_above=height.higher,
        fp32_line=None if cost.fp32 is not None else round(fp32_y, 3),
        absent=f"{cost.absent} {_without_score(len(history) - len(scored))}".strip(),
    )


def _without_score(count: int) -> str:
    if not count:
        return ""
    return f"{count} trial{'s' * (count != 1)} without a score cannot be drawn."


def _tip(trial: TrialEntry, settings: str, cost: str) -> str:
    verdict = "meets" if trial.met else "misses"
    parts = (
        f"{_scores(trial.scores, trial.score or 0.0)}, {verdict} the bar",
        f"{len(trial.config.fp32)} groups in fp32, {trial.config.algorithms}",
        settings,
        cost,
    )
    return f"trial {trial.index}: {'; '.join(filter(None, parts))}"


def _scores(scores: Mapping[str, float], score: float) -> str:
    if len(scores) < 2:
        return f"{score:.4f}"
    return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())


def _trial_point(trial: TrialEntry, place: tuple[float, float], *, tip: str, winner: bool) -> Point:
    x, y = place
    if winner:
        point = _labelled("winner", x, y, label=f"trial {trial.index}, shipped", tip=tip)
        return replace(point, missed=not trial.met)
    kind = "met" if trial.met else "missed"
    return Point(x=x, y=y, kind=kind, tip=tip, missed=not trial.met)


def _labelled(kind: str, x: float, y: float, *, label: str, tip: str) -> Point:
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
    ends: tuple[float, ...] = ()
    interval = accuracy.interval
    relative = _is_relative(bar, accuracy.fp32)
    if interval is not None and relative and interval.relative is not None:
        ends = (100 * interval.relative.low, 100 * interval.relative.high)
    elif interval is not None:
        scale = 100 / abs(accuracy.fp32) if relative else 1.0
        ends = (scale * interval.low, scale * interval.high)
    return _line(bar, accuracy.fp32, accuracy.drop_absolute, unit=accuracy.metric or "", ends=ends)


def metric_line(metric: MetricEntry) -> LossLine | None:
    """Return one of several metrics' loss beside its own bar, or None if there is none."""
    if metric.loss is None:
        return None
    return _line(metric.criterion, metric.fp32, metric.loss, unit=metric.name)


def _is_relative(bar: Bar, fp32: float) -> bool:
    return bar.absolute is None and bool(fp32)


def _line(
    bar: Bar, fp32: float, loss: float, *, unit: str, ends: tuple[float, ...] = ()
) -> LossLine:
    relative = _is_relative(bar, fp32)
    allowed = 100 * (bar.relative or 0.0) if relative else bar.absolute or 0.0
    loss = 100 * loss / abs(fp32) if relative else loss
    line = axis([0.0, allowed, loss, *ends])
    return LossLine(
        axis=line,
        unit="%" if relative else unit,
        loss=line.at(loss),
        zero=line.at(0.0),
        bar=line.at(allowed),
        low=line.at(ends[0]) if ends else None,
        high=line.at(ends[1]) if ends else None,
    )
