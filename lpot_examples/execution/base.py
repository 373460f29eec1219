"""The one interface through which models are evaluated.

A `Job` says how to open a model and who watches its evaluation. `Executor.submit` takes one and
returns a `Pending` at once; `Pending.result` waits. Everything in a job can be pickled, so that it
can be carried out in another process or on another machine; what all jobs have in common, the
evaluation function, an executor gets once, when it is made.

Who asks for results knows only this module. To slot in a distributed engine, Ray for example, write
one class: an actor that builds the evaluation and calls `carry_out`, `submit` that sends it a job,
and a `Pending` around the engine's future that tells deaths of workers as `EvaluationError`.
Strategies and trials stay as they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from lpot_examples.evaluation.evaluator import Evaluator, Progress
from lpot_examples.evaluation.racing import Monitor
from lpot_examples.evaluation.result import EvaluationResult


class Closable(Protocol):
    """A model that can be run and closed; see `backends.base.Model`."""

    def __call__(self, batch: Any) -> Any:
        """Run on a batch."""

    def close(self) -> None:
        """Release its memory."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One evaluation of one model.

    Attributes:
        name: What it is, for messages, such as ``trial 3``.
        open: Opens the model; picklable, such as a ``functools.partial`` of a function of a module
            with the model's path. An executor of this process takes any function.
        keep: Whether the model stays open afterwards, because it is someone else's.
        monitor: Watches the evaluation and may stop it. When the result is there it is in the
            state that the evaluation left it in, wherever that was.
    """

    name: str
    open: Callable[[], Closable]
    keep: bool = False
    monitor: Monitor | None = None


class Pending(ABC):
    """An evaluation that was submitted."""

    @abstractmethod
    def result(self, progress: Progress | None = None) -> EvaluationResult:
        """Wait for the result and return it.

        Args:
            progress: Told (samples done, samples in all) while one waits.

        Raises:
            EvaluationError: If this evaluation failed, crashed or took too long: another job may
                succeed.
            LpotError: If nothing can be evaluated so.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Give up the evaluation if it is not finished; its result may no longer be asked for."""


class Executor(AbstractContextManager["Executor"], ABC):
    """Evaluates models.

    Attributes:
        slots: How many evaluations can run at the same time.
        elsewhere: Whether jobs are carried out in another process, and must be picklable.
    """

    slots: int = 1
    elsewhere: bool = False

    @abstractmethod
    def submit(self, job: Job) -> Pending:
        """Accept a job; it is begun as soon as there is a free slot, or when it is waited for."""

    def close(self) -> None:  # noqa: B027 (there may be nothing to do)
        """End every evaluation and release everything; safe to call at any time, and twice.

        What a job needs that is submitted later starts again.
        """

    def __exit__(self, *_: object) -> None:
        self.close()


def carry_out(job: Job, evaluator: Evaluator, progress: Progress | None) -> EvaluationResult:
    """Open the model of a job and evaluate it, here and now.

    Raises:
        EvaluationError: If the evaluation fails.
        LpotError: If the model cannot be opened.
    """
    model = job.open()
    try:
        return evaluator(model, progress, job.monitor)
    finally:
        if not job.keep:
            model.close()
