"""The tables of the ``benchmark`` command."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from lpot_examples.benchmark.result import BenchmarkReport
from lpot_examples.cli.console import messages, results
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.host import HostInfo


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
    speedup = report.speedup(name)
    return f"{speedup.value:.2f}x ({speedup.interval.low:.2f}–{speedup.interval.high:.2f})"


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.3f}" if milliseconds < 10 else f"{milliseconds:.1f}"
