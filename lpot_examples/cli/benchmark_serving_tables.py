"""The tables and sentences of ``--mode=serving`` and ``--recommend``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from lpot_examples.benchmark.serving.advice import Advice, affinity, commands
from lpot_examples.benchmark.serving.choice import Candidate, Choice
from lpot_examples.benchmark.serving.layouts import Layout, Setting
from lpot_examples.benchmark.serving.load import LEVELS
from lpot_examples.benchmark.serving.result import LoadCurve, LoadPoint, Served, ServingReport
from lpot_examples.benchmark.stats import Interval
from lpot_examples.cli.console import results
from lpot_examples.runtimes.artifacts import Artifact
from lpot_examples.runtimes.comparison import Comparison
from lpot_examples.runtimes.settings import settings
from lpot_examples.runtimes.table import RUNTIMES

# Settings of each network in the table of throughput; all of them are in the JSON.
_MOST_ROWS = 4
# Commands are written out for so many instances.
_MOST_COMMANDS = 4

Names = Mapping[str, Artifact]


def print_serving(report: ServingReport) -> None:
    """Print throughput, latency under load, and what serves most within the limit."""
    results().print(_throughput_table(report))
    if report.curves:
        results().print(_load_table(report.curves))
    if report.latency_limit is not None:
        results().print(_limit_table(report, report.latency_limit))
    _print_conditions(report)


def print_left_out(found: Iterable[Artifact], report: ServingReport) -> None:
    """Say which networks cannot be run, and what was made of others."""
    for one in found:
        reason = one.reason or report.failed.get(one.name, "")
        if reason:
            said = f"{one.title} cannot be run: {reason.splitlines()[0]}"
            results().print(Text(said, style="yellow"), soft_wrap=True)
        elif one.note:
            results().print(f"{one.title}: {one.note}.", soft_wrap=True)


def print_advice(
    advice: Advice,
    report: ServingReport,
    names: Names,
    *,
    accuracy: Comparison | None,
    unchecked: str,
) -> None:
    """Print what to deploy for latency and for throughput, and how to start it."""
    if accuracy is not None:
        results().print(_accuracy_table(accuracy))
    for choice, sentence in (
        (advice.latency, _latency_sentence(advice, names)),
        (advice.throughput, _throughput_sentence(advice, report, names)),
    ):
        results().print(Text(sentence, style="bold"), soft_wrap=True)
        if choice is not None:
            for line in _how(choice.best.served.setting, names):
                results().print(f"  {line}", soft_wrap=True)
    if unchecked:
        results().print(Text(f"Accuracy was not checked: {unchecked}.", style="yellow"))
    _print_conditions(report)


def advice_to_dict(advice: Advice, names: Names) -> dict[str, Any]:
    """Return a recommendation as JSON values, with files and settings of the runtimes."""
    found = advice.to_dict()
    for key, choice in (("latency", advice.latency), ("throughput", advice.throughput)):
        if choice is not None:
            setting = choice.best.served.setting
            one = names[setting.subject]
            found[key] |= {
                "file": str(one.model),
                "made": one.note or None,
                "runtime": one.runtime,
                "settings": settings(one.runtime, threads=setting.layout.cores),
            }
    return found


def _throughput_table(report: ServingReport) -> Table:
    table = Table(title="Throughput with every instance busy; latency of a call, milliseconds")
    table.add_column("model", overflow="fold")
    for heading in ("instances\n× cores", "batch", "samples/s\n(95 % interval)", "p50", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in report.models:
        own = [one for one in report.of(name) if one.final] or report.of(name)[:1]
        for index, one in enumerate(own[:_MOST_ROWS]):
            table.add_row(
                "" if index else name,
                str(one.setting.layout),
                str(one.setting.batch),
                f"{one.throughput:,.1f} ({_range(one.throughput_interval)})",
                _figure(one.stats.p50),
                _figure(one.stats.p99),
            )
        table.add_section()
    return table


def _load_table(curves: Sequence[LoadCurve]) -> Table:
    # Levels in between, at which a limit was looked for, would make the table too wide.
    found = {point.level for curve in curves for point in curve.points}
    levels = [level for level in LEVELS if level in found]
    counts = [len(point.latencies_ms) for curve in curves for point in curve.points]
    table = Table(
        title="Latency under load, milliseconds; load in % of the throughput with all busy",
        caption=f"{min(counts)} to {max(counts)} requests for each load",
    )
    table.add_column("model, instances × cores, batch", overflow="fold")
    table.add_column("", no_wrap=True)
    for level in levels:
        table.add_column(f"{100 * level:.3g} %", justify="right", no_wrap=True)
    for curve in curves:
        points = {point.level: point for point in curve.points}
        head = (curve.setting.subject, curve.setting.where)
        rows = {"samples/s": [_offered(curve, points.get(level)) for level in levels]}
        for percent in (50, 90, 99):
            rows[f"p{percent}"] = [_at(points.get(level), percent) for level in levels]
        for index, (title, cells) in enumerate(rows.items()):
            table.add_row(head[index] if index < 2 else "", title, *cells)
        table.add_section()
    return table


def _limit_table(report: ServingReport, limit: float) -> Table:
    table = Table(title=f"Most samples per second with p99 under load within {limit:g} ms")
    table.add_column("model", overflow="fold")
    for heading in ("instances\n× cores", "batch", "load", "samples/s", "p50", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in report.models:
        found = report.sustained(name, limit)
        if found is None:
            table.add_row(name, *["–"] * 6)
            continue
        curve, point = found
        table.add_row(
            name,
            str(curve.setting.layout),
            str(curve.setting.batch),
            f"{point.level:.0%}",
            _offered(curve, point),
            _at(point, 50),
            _at(point, 99),
        )
    return table


def _accuracy_table(accuracy: Comparison) -> Table:
    metric = next(iter(accuracy.scores.values())).metric
    bar = accuracy.bars.describe() if accuracy.bars else ""
    table = Table(title=f"Accuracy; the bar: {bar}")
    table.add_column("model", overflow="fold")
    for heading in (metric, "relative to first", "bar"):
        table.add_column(heading, justify="right")
    for row in accuracy.rows:
        if row.accuracy is None:
            table.add_row(row.artifact.title, "–", "–", "; ".join(row.reasons))
            continue
        change = "–" if row.change is None else f"{row.change:+.2%}"
        kept = "kept" if row.met else "missed, left out"
        table.add_row(row.artifact.title, f"{row.accuracy.score:.4f}", change, kept)
    return table


def _latency_sentence(advice: Advice, names: Names) -> str:
    choice = advice.latency
    if choice is None:
        return "For latency: no single instance was measured."
    one = choice.best.served
    stats = one.stats
    return (
        f"For latency (batch {one.setting.batch}): {_title(one, names)} "
        f"{_layout(one.setting.layout)}: p50 {_figure(stats.p50)} ms (95 % interval "
        f"{_range(stats.p50_interval)}), {_versus(choice, names, 'as fast as')}."
    )


def _throughput_sentence(advice: Advice, report: ServingReport, names: Names) -> str:
    choice, limit = advice.throughput, report.latency_limit
    if choice is None:
        return f"For throughput within {limit:g} ms: nothing keeps p99 under load within the limit."
    one = choice.best.served
    where = f"{_title(one, names)} {_layout(one.setting.layout)}, batch {one.setting.batch}"
    figures = (
        f"{one.throughput:,.1f} samples/s (95 % interval {_range(one.throughput_interval)}), p99 "
        f"of a call {_figure(one.stats.p99)} ms"
    )
    head = "For throughput"
    if advice.under_load is not None:
        point = advice.under_load
        head = f"For throughput with p99 within {limit:g} ms"
        figures = (
            f"{point.offered * one.setting.batch:,.1f} samples/s at {point.level:.0%} of its most, "
            f"with p99 {_figure(point.percentile(99))} ms over {len(point.latencies_ms)} requests"
        )
    return f"{head}: {where}: {figures}, {_versus(choice, names, 'as much as')}."


def _versus(choice: Choice, names: Names, phrase: str) -> str:
    """Say by how much the choice beats the runner-up."""
    if choice.runner_up is None or choice.ratio is None:
        return "the only one measured"
    other = choice.runner_up
    ratio = f"{choice.ratio.value:.2f} times"
    within = f"{choice.ratio.interval.low:.2f}–{choice.ratio.interval.high:.2f}"
    text = f"{ratio} ({within}) {phrase} {_candidate(choice, other, names)}"
    if any(one is other for one in choice.equals):
        return f"{text}; the two are equal within noise, and this one is the simpler"
    if not choice.settled:
        text += "; noise leaves open which is better, so give more --seconds or an idle machine"
    return text


def _candidate(choice: Choice, other: Candidate, names: Names) -> str:
    setting = other.served.setting
    text = f"{_title(other.served, names)} {_layout(setting.layout)}"
    if setting.batch != choice.best.served.setting.batch:
        text += f", batch {setting.batch}"
    return text


def _how(setting: Setting, names: Names) -> list[str]:
    """Return the lines that say how to start the instances."""
    one = names[setting.subject]
    lines = [f"file: {one.model}" + (f" ({one.note})" if one.note else "")]
    lines.append(
        f"{RUNTIMES[one.runtime].title}: " + settings(one.runtime, threads=setting.layout.cores)
    )
    starts = commands(setting)
    lines += [f"start: {start} …" for start in starts[:_MOST_COMMANDS]]
    if len(starts) > _MOST_COMMANDS:
        last = ",".join(map(str, affinity(setting)[-1]))
        lines.append(f"       and so on, {len(starts)} instances in all, the last one on {last}")
    return lines


def _print_conditions(report: ServingReport) -> None:
    host = report.host
    cores = f"{len(report.cores)} core{'s' * (len(report.cores) != 1)}"
    onednn = "on" if host.onednn else "off"
    results().print(f"{host.cpu}, {host.isa}, {cores}, oneDNN {onednn}; {report.seconds:.0f} s")
    for remark in report.remarks:
        results().print(Text(remark, style="yellow" if remark.startswith("Noisy") else ""))
    if report.noise.remark:
        style = "" if report.noise.quiet else "yellow"
        results().print(Text(f"Throughput: {report.noise.remark}", style=style))


def _title(served: Served, names: Names) -> str:
    return names[served.setting.subject].title


def _layout(layout: Layout) -> str:
    threads = f"{layout.cores} thread{'s' * (layout.cores != 1)}"
    if layout.instances == 1:
        return f"with {threads}"
    return f"in {layout.instances} instances of {threads} each"


def _offered(curve: LoadCurve, point: LoadPoint | None) -> str:
    return "" if point is None else f"{point.offered * curve.setting.batch:,.1f}"


def _at(point: LoadPoint | None, percent: float) -> str:
    return "" if point is None else _figure(point.percentile(percent))


def _range(interval: Interval) -> str:
    return f"{_figure(interval.low)}–{_figure(interval.high)}"


def _figure(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:,.1f}"
