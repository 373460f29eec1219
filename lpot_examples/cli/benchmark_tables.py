"""The tables of the ``benchmark`` command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rich import box
from rich.table import Table
from rich.text import Text

from lpot_examples.benchmark.result import BenchmarkReport
from lpot_examples.benchmark.stats import Speedup
from lpot_examples.cli.console import messages, results
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.host import HostInfo
from lpot_examples.runtimes.comparison import Comparison, Row

# Columns of a console that nothing is too wide for.
_UNBOUND = 10_000


def print_latency(report: BenchmarkReport) -> None:
    """Print the latency table, the host and the conditions of the measurement."""
    table = Table(title=f"Latency of a batch of {report.batch_size}, milliseconds")
    table.add_column("model", overflow="fold")
    for heading in ("p50", "p90", "p99", "samples/s", "speed-up (95 % interval)"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, stats in report.latency.items():
        times = (_time(value) for value in (stats.p50, stats.p90, stats.p99))
        table.add_row(name, *times, f"{stats.throughput:,.1f}", _speedup(report, name))
    results().print(table)
    results().print(host_line(report.host, threads=report.threads, instances=len(report.cores)))
    if report.noise.remark:
        results().print(Text(report.noise.remark, style="" if report.noise.quiet else "yellow"))


def print_accuracy(scores: Mapping[str, EvaluationResult]) -> None:
    """Print the score of each model, and what it loses against the first."""
    metric = next(iter(scores.values())).metric
    table = Table(title=f"Accuracy: {metric}")
    table.add_column("model", overflow="fold")
    for heading in (metric, "relative to first", "samples"):
        table.add_column(heading, justify="right", no_wrap=True)
    first = next(iter(scores.values())).score
    for index, (path, result) in enumerate(scores.items()):
        change = f"{(result.score - first) / first:+.2%}" if index and first else "–"
        samples = str(result.samples) if result.samples else "unknown"
        table.add_row(path, f"{result.score:.4f}", change, samples)
    results().print(table)
    for path, result in scores.items():
        if result.details:
            parts = ", ".join(f"{name} {value:.4f}" for name, value in result.details.items())
            messages().print(f"{path}: {parts}", soft_wrap=True)


def print_comparison(found: Comparison) -> None:
    """Print networks times runtimes, why some cannot be run, and which is the fastest."""
    table = _comparison_table(found)
    unbound = results().options.update(max_width=_UNBOUND)
    if results().measure(table, options=unbound).maximum > results().width:
        table = _comparison_table(found, narrow=True)
    results().print(table)
    report = found.report
    if report is not None:
        line = host_line(report.host, threads=report.threads, instances=len(report.cores))
        results().print(line)
        if report.noise.remark:
            results().print(Text(report.noise.remark, style="" if report.noise.quiet else "yellow"))
    for row in found.rows:
        if row.artifact.note and not row.artifact.reason:
            _say(f"{row.artifact.title}: {row.artifact.note}.")
        for reason in row.reasons:
            what = "no accuracy" if row.latency else "cannot be run"
            _say(f"{row.artifact.title} {what}: {reason.splitlines()[0]}", style="yellow")
    if any(row.met is False for row in found.rows) and found.bars:
        _say(f"! misses the bar: {found.bars.describe()}.")
    _say(_verdict(found), style="bold")


def _say(sentence: str, *, style: str = "") -> None:
    # A file or pipe gets it on one line.
    results().print(Text(sentence, style=style), soft_wrap=not results().is_terminal)


def _comparison_table(found: Comparison, *, narrow: bool = False) -> Table:
    """Return the table; where it would not fit, what belongs together shares a column."""
    report, first = found.report, next(iter(found.scores.values()), None)
    titles, headings = [], ["model\nruntime, type"] if narrow else ["model", "runtime", "type"]
    words = len(headings)
    if first is not None:
        titles.append(f"accuracy ({first.metric})")
        change = "relative\nto first"
        headings += [f"{first.metric}\n{change}"] if narrow else [first.metric, change]
    if report is not None:
        titles.append(f"latency of a batch of {report.batch_size}, milliseconds")
        interval = "(95 %)" if narrow else "(95 % interval)"
        headings += ["p50", "p90", "p99", "samples/s", f"speed-up\n{interval}"]
    title = " and ".join(titles)
    table = Table(title=title[:1].upper() + title[1:])
    if narrow:
        table.box, table.padding = box.SIMPLE, (0, 1, 0, 0)
    for index, heading in enumerate(headings):
        justify: Literal["left", "right"] = "left" if index < words else "right"
        if index == 0:
            table.add_column(heading, justify=justify, overflow="fold")
        else:
            table.add_column(heading, justify=justify, no_wrap=True)
    for row in found.rows:
        one = row.artifact
        cells = [one.label, one.runtime, one.precision]
        if narrow:
            cells = ["\n".join([one.label, ", ".join(filter(None, cells[1:]))])]
        if first is not None:
            score = _score_cells(row)
            cells += ["\n".join(score)] if narrow else score
        if report is not None:
            cells += _latency_cells(row, narrow=narrow)
        table.add_row(*cells, style=_style(row))
    return table


def _score_cells(row: Row) -> list[str]:
    if row.accuracy is None:
        return ["", ""]
    change = "–" if row.change is None else f"{row.change:+.2%}"
    return [f"{row.accuracy.score:.4f}", change if row.met is not False else f"{change} !"]


def _latency_cells(row: Row, *, narrow: bool) -> list[str]:
    stats = row.latency
    if stats is None:
        return [*[""] * 4, "cannot run"]
    times = [_time(value) for value in (stats.p50, stats.p90, stats.p99)]
    speedup = "–" if row.speedup is None else _ratio(row.speedup)
    if narrow:
        speedup = speedup.replace(" (", "\n(")
    return [*times, f"{stats.throughput:,.1f}", speedup]


def _style(row: Row) -> str:
    return "dim" if row.latency is None and row.accuracy is None else ""


def _verdict(found: Comparison) -> str:
    """Say which artifact is the fastest, of those that keep the bar and of all."""
    fastest, best = found.fastest, found.recommended
    bar = found.bars.describe() if found.bars else ""
    if fastest is None:
        missed = [row.artifact.title for row in found.rows if row.met is False]
        kept = f"Every one that was scored keeps the bar ({bar})."
        return f"These miss the bar ({bar}): {', '.join(missed)}." if missed else kept
    if best is None:
        return f"The fastest is {_named(found, fastest)}. Its accuracy was not measured."
    text = f"The fastest that keeps the bar ({bar}) is {_named(found, best)}."
    if not found.even(fastest, best):
        why = "misses the bar" if fastest.met is False else "was not scored"
        text += f" Faster, but it {why}: {_named(found, fastest)}."
    return text


def _named(found: Comparison, row: Row) -> str:
    assert row.latency is not None and found.report is not None
    text = f"{row.artifact.title} with {_time(row.latency.p50)} ms"
    if row.speedup is not None:
        first = next(one for one in found.rows if one.artifact.name == found.report.baseline)
        text += f", {row.speedup.value:.2f} times as fast as {first.artifact.title}"
    rivals = found.rivals(row)
    if rivals:
        names = ", ".join(other.artifact.title for other in rivals)
        text += f" (not told apart from it: {names})"
    return text


def host_line(host: HostInfo, *, threads: int, instances: int = 1) -> str:
    """Describe in one line what a latency was measured on."""
    isa = host.isa if host.isa == host.cpu_isa else f"{host.isa} (of {host.cpu_isa})"
    where = f"{threads} thread{'s' * (threads != 1)}"
    if instances > 1:
        where = f"{instances} instances of {where}"
    return f"{host.cpu}, {isa}, {where}, oneDNN {'on' if host.onednn else 'off'}"


def _speedup(report: BenchmarkReport, name: str) -> str:
    if name == report.baseline:
        return "–"
    return _ratio(report.speedup(name))


def _ratio(speedup: Speedup) -> str:
    return f"{speedup.value:.2f}x ({speedup.interval.low:.2f}–{speedup.interval.high:.2f})"


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.3f}" if milliseconds < 10 else f"{milliseconds:.1f}"
