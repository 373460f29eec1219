"""Does the same work on many shards, here or in several processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from lpot_examples import child
from lpot_examples.errors import OutputError

Task = TypeVar("Task")
Result = TypeVar("Result")

Tick = Callable[[], bool]
"""Called by the work after each record; False says that the work is to be given up."""

Report = Callable[[int], None]
"""Called with the number of ticks of all processes."""

_SECONDS = 0.2  # between two looks at the counter

# Of a worker process: the ticks of all of them, and whether to stop.
_ticks: Any = None
_stop: Any = None


class StoppedError(Exception):
    """Other work failed or the user stopped, so this is given up."""


def run_all(
    work: Callable[[Task, Tick], Result],
    tasks: Mapping[int, Task],
    *,
    workers: int,
    report: Report,
    name: Callable[[Task], str] = str,
) -> dict[int, Result]:
    """Do all the work.

    Args:
        work: A function of a module: it is pickled. Raises `StoppedError` after a tick was False.
        tasks: What to work on.
        workers: Processes; with 1, or one task, this one works.
        report: Told of the ticks.
        name: What a task is called in messages.

    Returns:
        The results, by the keys of the tasks.

    Raises:
        OutputError: If a process was killed.

    What the work on the first of the failed tasks raised is raised again.
    """
    if workers > 1 and len(tasks) > 1:
        return _in_processes(work, tasks, min(workers, len(tasks)), report, name)
    ticks = 0

    def tick() -> bool:
        nonlocal ticks
        ticks += 1
        report(ticks)
        return True

    return {index: work(task, tick) for index, task in tasks.items()}


def _in_processes(
    work: Callable[[Task, Tick], Result],
    tasks: Mapping[int, Task],
    workers: int,
    report: Report,
    name: Callable[[Task], str],
) -> dict[int, Result]:
    context = get_context("spawn")  # threads of progress bars do not survive a fork
    ticks, stop = context.Value("q", 0), context.Event()
    with ProcessPoolExecutor(
        workers, context, initializer=_begin, initargs=(os.getpid(), ticks, stop)
    ) as pool:
        futures = {pool.submit(_work, work, task): index for index, task in tasks.items()}
        pending = set(futures)
        try:
            while pending and not stop.is_set():
                ready, pending = wait(pending, timeout=_SECONDS, return_when=FIRST_COMPLETED)
                report(ticks.value)
                if any(future.exception() for future in ready):
                    stop.set()
        finally:
            stop.set()
            for future in pending:
                future.cancel()
        wait(pending)
    return _collected(futures, tasks, name)


def _collected(
    futures: Mapping[Future[Result], int], tasks: Mapping[int, Task], name: Callable[[Task], str]
) -> dict[int, Result]:
    """Return the results, or raise what the first task that failed did."""
    errors: dict[int, BaseException] = {}
    for future, index in futures.items():
        error = None if future.cancelled() else future.exception()
        if error is not None and not isinstance(error, StoppedError):
            errors[index] = error
    lost = {index for index, error in errors.items() if isinstance(error, BrokenProcessPool)}
    if errors.keys() - lost:
        raise errors[min(errors.keys() - lost)]
    if lost:
        raise OutputError(
            f"A worker process was ended while {name(tasks[min(lost)])} was not finished, usually "
            "because memory ran out. Use fewer --workers; the same command continues."
        )
    return {index: future.result() for future, index in futures.items()}


def _begin(parent: int, ticks: Any, stop: Any) -> None:
    """Set a worker process up; Ctrl-C is the parent's business, which then says stop."""
    global _ticks, _stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child.end_with(parent)
    _ticks, _stop = ticks, stop


def _work(work: Callable[[Task, Tick], Result], task: Task) -> Result:
    return work(task, _tick)


def _tick() -> bool:
    with _ticks.get_lock():
        _ticks.value += 1
    return not _stop.is_set()
