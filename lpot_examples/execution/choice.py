"""Chooses where models are evaluated."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from lpot_examples.errors import LpotError
from lpot_examples.evaluation.evaluator import Evaluator
from lpot_examples.execution.base import Executor
from lpot_examples.execution.local import LocalExecutor
from lpot_examples.execution.processes import WorkerProcesses
from lpot_examples.host import available_cores


def check_options(workers: int, trial_timeout: float) -> None:
    """Refuse options that cannot be followed.

    Args:
        workers: How many worker processes there shall be; 0 for none.
        trial_timeout: Seconds that an evaluation may take; 0 for no limit.

    Raises:
        LpotError: If there are not enough cores, or no process that a limit could end.
    """
    cores = len(available_cores())
    if not 0 <= workers <= cores:
        raise LpotError(
            f"--workers must be 0 (evaluate in this process) to {cores}, the number of cores that "
            f"this process may use; it is {workers}."
        )
    if trial_timeout < 0:
        raise LpotError(f"--trial_timeout must be at least 0 seconds; it is {trial_timeout:g}.")
    if trial_timeout > 0 and not workers:
        raise LpotError(
            "--trial_timeout needs --workers=1 or more: an evaluation that hangs in this process "
            "cannot be ended without ending the run."
        )


def make_executor(
    function: Callable[..., Any],
    evaluator: Evaluator,
    *,
    workers: int,
    trial_timeout: float = 0.0,
    build: Callable[[], Callable[..., Any]] | None = None,
) -> Executor:
    """Return what evaluates models.

    Args:
        function: The ``eval_func``.
        evaluator: The same, checked.
        workers: How many worker processes; 0 to evaluate in this process.
        trial_timeout: Seconds that an evaluation may take in a worker; 0 for no limit.
        build: Picklable function that builds ``function`` in a worker; by default ``function``
            itself is pickled, with all that it holds.

    Raises:
        LpotError: As `check_options`, or if the function cannot be sent to a worker.
    """
    check_options(workers, trial_timeout)
    if not workers:
        return LocalExecutor(evaluator)
    cores = available_cores()
    each = len(cores) // workers
    shares = [cores[i * each : (i + 1) * each] for i in range(workers)]
    return WorkerProcesses(build or partial(_itself, function), cores=shares, timeout=trial_timeout)


def _itself(function: Callable[..., Any]) -> Callable[..., Any]:
    return function
