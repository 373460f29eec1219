"""Where commands print: results to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Report = Callable[[int, int | None], None]
"""Called with (done, total); a total of None or 0 means that it is not known."""

# A file or pipe has no width; tables need more than the 80 columns that rich then assumes.
_WIDTH_OF_FILES = 120
_SECONDS_BETWEEN_LINES = 10.0


@cache
def results() -> Console:
    """Return the console for results, on standard output."""
    return _console(stderr=False)


@cache
def messages() -> Console:
    """Return the console for progress and remarks, on standard error."""
    return _console(stderr=True)


@contextlib.contextmanager
def progress(description: str, *, unit: str = "") -> Iterator[Report]:
    """Show progress on standard error: a bar on a terminal, else a line now and then.

    Args:
        description: What is being done, such as ``Evaluating model.pb``.
        unit: What is counted, such as ``images``.

    Yields:
        A function to call with (done, total).
    """
    console = messages()
    if not console.is_terminal:
        yield _lines(description, unit)
        return
    with _bar(console) as bar:
        task = bar.add_task(description, total=None, unit=unit)

        def report(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total or None)

        yield report


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    # No markup: model names and paths may hold square brackets.
    console = Console(stderr=stderr, markup=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_FILES
    return console


def _bar(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def _lines(description: str, unit: str) -> Report:
    last = time.monotonic()

    def report(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            count = f"{done}/{total}" if total else str(done)
            messages().print(f"{description}: {count} {unit}".rstrip())

    return report
