"""Prints the summary of a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from lpot_examples.cli.console import results
from lpot_examples.report import view
from lpot_examples.report.document import parse_report

# Trials that are printed; the page has all.
_LAST = 10


def print_summary(report: Mapping[str, Any], page: Path) -> None:
    """Print verdict, main figures, remarks, the last trials, and where the page is.

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
    trials = data.search.history
    if len(trials) > 1:
        console.print(_trials(data.search.history[-_LAST:], total=len(trials)))
    for remark in view.remarks(data):
        console.print(f"note: {remark}", soft_wrap=True)
    console.print(f"page: {page}", soft_wrap=True)


def _trials(trials: Any, *, total: int) -> Table:
    table = Table(title="trials" if len(trials) == total else f"the last {len(trials)} of {total}")
    for heading in ("", "groups in fp32", "score", "loss / allowed", "bar", "s"):
        table.add_column(heading, justify="right")
    for trial in trials:
        scored = trial.score is not None and trial.loss is not None
        table.add_row(
            str(trial.index),
            str(len(trial.config.fp32)),
            f"{trial.score:.4f}" if scored else trial.why,
            f"{trial.loss:+.4f} / {trial.allowance:.4f}" if scored else "–",
            "met" if trial.met else "missed",
            f"{trial.seconds:.1f}",
        )
    return table
