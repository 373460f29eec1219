"""An executor where an `Evaluator` is expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lpot_examples.evaluation.evaluator import Evaluator, Progress
from lpot_examples.evaluation.racing import Monitor
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.execution.base import Closable, Executor, Job


@dataclass(frozen=True, kw_only=True)
class Unopened:
    """A model that is opened where it is evaluated.

    Attributes:
        name: What it is, for messages.
        open: See `Job`.
        keep: See `Job`.
    """

    name: str
    open: Callable[[], Closable]
    keep: bool = False

    def close(self) -> None:
        """Nothing is open here."""


class ExecutorScorer(Evaluator):
    """Scores models by an executor, one after the other.

    Args:
        executor: Carries the evaluations out.
        evaluator: The same evaluation in this process, for what must be known of it.
    """

    def __init__(self, executor: Executor, evaluator: Evaluator) -> None:
        self._executor = executor
        self._evaluator = evaluator

    @property
    def samples(self) -> int:
        """Size of the validation set, 0 if unknown."""
        return self._evaluator.samples

    @property
    def monitored(self) -> bool:
        """Whether evaluations report sample by sample and can be stopped."""
        return self._evaluator.monitored

    def rest(self) -> None:
        """Release the executor's workers; they start again when they are needed."""
        self._executor.close()

    def fingerprint(self) -> str:
        """Return a hash of the function's source."""
        return self._evaluator.fingerprint()

    def __call__(
        self, model: Unopened, progress: Progress | None = None, monitor: Monitor | None = None
    ) -> EvaluationResult:
        """Score a model; see `Evaluator`.

        Raises:
            EvaluationError: If the evaluation fails.
        """
        job = Job(name=model.name, open=model.open, keep=model.keep, monitor=monitor)
        return self._executor.submit(job).result(progress)
