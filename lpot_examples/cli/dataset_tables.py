"""What the ``dataset`` commands print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from lpot_examples.cli.console import messages, results
from lpot_examples.data.records.convert import SUMMARY, Summary
from lpot_examples.data.records.inspect import Inspection

_SHOWN = 10  # of what was left out; the summary has all


def print_summary(summary: Summary, folder: Path) -> None:
    """Print what a conversion wrote, and what it left out."""
    table = Table(title=f"Records in {folder}", title_justify="left")
    table.add_column("split")
    table.add_column("shards", overflow="fold")
    for name in ("images", "objects", "classes", "MB"):
        table.add_column(name, justify="right")
    for name, split in summary.splits.items():
        table.add_row(
            name or "all",
            f"{split.shards}-*-of-{split.count:05}",
            f"{split.records}",
            f"{split.boxes}",
            f"{len(split.classes)}",
            f"{split.size / 1e6:.1f}",
        )
    results().print(table)
    for note in summary.notes[:_SHOWN]:
        messages().print(note, soft_wrap=True)
    if len(summary.notes) > _SHOWN:
        messages().print(f"… and {len(summary.notes) - _SHOWN} more such remarks.")
    if summary.troubles:
        _print_troubles(summary)
    results().print(f"Everything that was found is in {folder / SUMMARY}.", soft_wrap=True)


def _print_troubles(summary: Summary) -> None:
    counts = Counter(trouble.kind for trouble in summary.troubles)
    kinds = ", ".join(f"{kind}: {count}" for kind, count in sorted(counts.items()))
    messages().print(f"Left out: {kinds}", style="yellow", soft_wrap=True)
    for trouble in summary.troubles[:_SHOWN]:
        messages().print(trouble.message, soft_wrap=True)
    if len(summary.troubles) > _SHOWN:
        messages().print(f"… and {len(summary.troubles) - _SHOWN} more.")


def print_inspection(found: Inspection, *, drawn: Sequence[Path], shown: int) -> None:
    """Print features, classes and problems of shards."""
    total = sum(found.records.values())
    _print_features(found, total)
    if found.classes:
        _print_classes(found)
    for path in drawn:
        results().print(f"Drawn: {path}", soft_wrap=True)
    for problem in found.problems[:shown]:
        results().print(str(problem), style="red", soft_wrap=True)
    if len(found.problems) > shown:
        rest = len(found.problems) - shown
        results().print(f"… and {rest} more; --report=FILE writes all.")
    verdict = f"{len(found.problems)} problems" if found.problems else "nothing is wrong"
    results().print(f"{total} records in {len(found.records)} shards: {verdict}.")


def _print_features(found: Inspection, total: int) -> None:
    table = Table(title="Features", title_justify="left")
    for name in ("feature", "type"):
        table.add_column(name, overflow="fold")
    for name in ("records", "values"):
        table.add_column(name, justify="right")
    for name, use in sorted(found.features.items()):
        span = f"{use.shortest}–{use.longest}" if use.shortest != use.longest else use.longest
        records = f"{use.records}" if use.records != total else "all"
        table.add_row(name, " or ".join(sorted(use.dtypes)), records, f"{span}")
    results().print(table)


def _print_classes(found: Inspection) -> None:
    table = Table(title="Classes", title_justify="left")
    table.add_column("number", justify="right")
    table.add_column("name", overflow="fold")
    table.add_column("count", justify="right")
    table.add_column("share")
    most = max(found.classes.values())
    for (number, name), count in sorted(
        found.classes.items(), key=lambda item: (-item[1], item[0])
    )[:40]:
        table.add_row(f"{number}", name, f"{count}", "█" * max(1, round(24 * count / most)))
    results().print(table)
    if len(found.classes) > 40:
        results().print(f"… and {len(found.classes) - 40} more classes.")
