"""Evaluation in this process: no start-up, but a crash of the runtime ends the whole run."""

from __future__ import annotations

from lpot_examples.evaluation.evaluator import Evaluator, Progress
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.execution.base import Executor, Job, Pending, carry_out


class LocalExecutor(Executor):
    """Evaluates one model after the other, each when its result is asked for.

    Args:
        evaluator: Scores models.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def submit(self, job: Job) -> Pending:
        """Return the job; it is carried out when its result is asked for."""
        return _LocalPending(job, self._evaluator)


class _LocalPending(Pending):
    def __init__(self, job: Job, evaluator: Evaluator) -> None:
        self._job = job
        self._evaluator = evaluator

    def result(self, progress: Progress | None = None) -> EvaluationResult:
        return carry_out(self._job, self._evaluator, progress)

    def cancel(self) -> None:
        """Nothing was begun."""
