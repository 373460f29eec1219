"""Prints the summary of a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from lpot_examples.cli.console import results
from lpot_examples.report import view
from lpot_examples.report.costs import BYTES, megabytes
from lpot_examples.report.document import Accuracy, MetricEntry, Report, TrialEntry, parse_report
from lpot_examples.report.settings import settings

# Trials that are printed; the page has all.
_LAST = 10


def print_summary(report: Mapping[str, Any], page: Path) -> None:
    """Print verdict, main figures, metrics, remarks, the last trials, and where the page is.

    Args:
        report: JSON values.
        page: The page that was written.
    """
    data = parse_report(report)
    console = results()
    table = Table(title=f"{data.model.name}: {view.verdict(data)[1]}", title_style="bold")
    for heading in ("", "", "from fp32"):
        table.add_column(heading)
    for card in view.cards(data):
        table.add_row(card.title, card.figure, card.text)
    console.print(table)
    if data.accuracy.several:
        console.print(_metrics(data.accuracy))
    if len(data.artifacts) > 1:
        console.print(artifacts_table(data))
    if len(data.search.history) > 1:
        console.print(trials_table(data, last=_LAST))
    if not data.search.objective.plain:
        console.print(f"objective: {data.search.objective.text}", soft_wrap=True)
    for remark in view.remarks(data):
        console.print(f"note: {remark}", soft_wrap=True)
    console.print(f"page: {page}", soft_wrap=True)


def artifacts_table(report: Report) -> Table:
    """Return a row for each delivered file."""
    table = Table(title="files, each evaluated and timed on its own runtime")
    headings = ("file", "runtime", "verdict", "score", "lost", "fp32, ms", "ms", "int8 groups")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < 3 else "right")
    for one in report.artifacts:
        score, times = one.accuracy, one.latency_ms
        table.add_row(
            f".{one.form}",
            one.runtime,
            one.verdict,
            "–" if score is None else f"{score.score:.4f}",
            "–" if score is None else score.lost,
            "–" if times is None else f"{times.fp32.p50:.2f}",
            "–" if times is None else f"{times.int8.p50:.2f}",
            str(one.groups.get("int8", "–")),
        )
    return table


def metric_rows(accuracy: Accuracy) -> list[tuple[str, str, str, str]]:
    """Return a row for each of several metrics, and one for the weighted loss where that decides.

    Returns:
        Name, fp32, int8, and in words what was lost and may be lost.
    """
    rows = [
        (m.name, f"{m.fp32:.4f}", "–" if m.int8 is None else f"{m.int8:.4f}", _remark(m))
        for m in accuracy.metrics
    ]
    if (weighted := accuracy.weighted) is not None:
        verdict = "met" if accuracy.met else "MISSED"
        remark = f"{weighted.loss:+.4f} / {weighted.allowance:.4f} allowed; {verdict}"
        rows.append(("weighted loss", "", "", remark))
    return rows


def _remark(metric: MetricEntry) -> str:
    if metric.int8 is None:
        return f"bar: {metric.criterion.text}"
    lost = view.in_words(metric.loss, metric.loss_relative, metric.criterion)
    weight = "" if metric.weight is None else f"; weight {metric.weight:g}"
    # With weights no metric decides by itself.
    verdict = "" if weight else f"; {'met' if metric.met else 'MISSED'}"
    return f"{lost}; bar: {metric.criterion.text}{weight}{verdict}"


def trials_table(report: Report, *, last: int | None = None) -> Table:
    """Return the trials as a table.

    Args:
        report: The report.
        last: So many of them at most, the latest ones; all for None.
    """
    history = report.search.history
    shown = history[-last:] if last else history
    said = settings([trial.config for trial in history])[0][-len(shown) :]
    metrics = [metric.name for metric in report.accuracy.metrics]
    costs = [name for name in report.search.objective.names if name in BYTES]
    all_shown = len(shown) == len(history)
    table = Table(title="trials" if all_shown else f"the last {len(shown)} of {len(history)}")
    score = ", ".join(metrics) if report.accuracy.several else "score"
    for heading in ("", "groups in fp32", "calibration", score, "loss / allowed"):
        table.add_column(heading, justify="left" if heading == "calibration" else "right")
    for heading in (*(BYTES[name] for name in costs), "bar", "s"):
        table.add_column(heading, justify="right")
    for trial, words in zip(shown, said, strict=True):
        known = (megabytes(trial, name) for name in costs)
        table.add_row(
            str(trial.index),
            str(len(trial.config.fp32)),
            f"{trial.config.algorithms}{', ' if words else ''}{words}",
            _scores(trial, metrics),
            _loss(trial),
            *("–" if value is None else f"{value:.2f}" for value in known),
            "met" if trial.met else "missed",
            f"{trial.seconds:.1f}",
        )
    return table


def _metrics(accuracy: Accuracy) -> Table:
    table = Table(title="metrics")
    for heading, justify in (("", "left"), ("fp32", "right"), ("int8", "right"), ("", "left")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for row in metric_rows(accuracy):
        table.add_row(*row)
    return table


def _scores(trial: TrialEntry, metrics: list[str]) -> str:
    if trial.score is None:
        return trial.error or ("stopped" if trial.stopped_early else trial.why)
    if len(metrics) < 2:
        return f"{trial.score:.4f}"
    known = (trial.scores.get(name) for name in metrics)
    return ", ".join("–" if value is None else f"{value:.4f}" for value in known)


def _loss(trial: TrialEntry) -> str:
    stop = trial.stopped_early
    if trial.score is None and stop is not None and stop.bound is not None:
        return f">{stop.bound:+.4f} / {trial.allowance:.4f}"
    if trial.score is None or trial.loss is None:
        return "–"
    return f"{trial.loss:+.4f} / {trial.allowance:.4f}"
