"""Trials: emit a configuration, write it, load it back, evaluate the file."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

from lpot_examples.backends.base import Backend
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.evaluator import Evaluator, Progress
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.events import Listener
from lpot_examples.graph import TuningConfig
from lpot_examples.journal import Journal
from lpot_examples.probe import select
from lpot_examples.search.trial import Trial
from lpot_examples.workspace import Workspace


class TrialRunner:
    """Runs trials, or reads them from the journal, and keeps the best one's file.

    Args:
        backend: The network.
        statistics: Calibration statistics by sampling size.
        evaluator: Scores models.
        criterion: The bar.
        baseline: The fp32 score.
        workspace: Where candidates are written.
        journal: Where trials are recorded.
        listener: Told of progress and results.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        statistics: Mapping[int, Statistics],
        evaluator: Evaluator,
        criterion: Criterion,
        baseline: EvaluationResult,
        workspace: Workspace,
        journal: Journal,
        listener: Listener,
    ) -> None:
        self._backend = backend
        self._statistics = statistics
        self._evaluator = evaluator
        self._criterion = criterion
        self._baseline = baseline
        self._workspace = workspace
        self._journal = journal
        self._listener = listener
        self.trials: list[Trial] = []
        self.seconds_before = 0.0

    def run(self, config: TuningConfig) -> Trial:
        """Return the trial of a configuration; evaluated unless the journal has it.

        Raises:
            EvaluationError: If the evaluation fails as it did on the trial before.
            OutputError: If the candidate cannot be written.
        """
        known = self._journal.find("trial", digest=config.digest())
        again = known is not None and known["data"]["error"] == ""
        if known is not None and again:
            trial = Trial.from_dict({**known["data"], "index": len(self.trials) + 1})
            self.seconds_before += trial.seconds
        else:
            trial = self._evaluate(config)
            self._journal.write("trial", digest=config.digest(), data=trial.to_dict())
        self.trials.append(trial)
        self._listener.trial(trial, again=again)
        self._keep_best()
        failed = [trial.error for trial in self.trials[-2:] if trial.error]
        if len(failed) == 2 or (failed and len(self.trials) == 1):
            raise EvaluationError(failed[-1])
        return trial

    @property
    def best(self) -> Trial | None:
        """The trial to ship: the fastest that meets the bar, else the most accurate."""
        scored = [trial for trial in self.trials if trial.score is not None]
        passing = [trial for trial in scored if trial.met]
        if passing:
            return min(passing, key=lambda trial: (self._fp32_work(trial), trial.loss))
        return min(scored, key=lambda trial: trial.loss or 0.0, default=None)

    def file(self, trial: Trial) -> Path:
        """Return the file that was evaluated in a trial; written again if it is gone."""
        path = self._workspace.candidate(trial.config.digest())
        if not path.exists():
            self._write(trial.config)
        return path

    def _fp32_work(self, trial: Trial) -> float:
        """Return what a trial leaves in fp32, in multiply-accumulates (groups if unknown)."""
        graph = self._backend.op_graph
        return sum(graph.group(name).macs or 1 for name in trial.config.fp32)

    def _evaluate(self, config: TuningConfig) -> Trial:
        started = time.monotonic()
        number = len(self.trials) + 1
        path = self._write(config)
        model = self._backend.load(path)
        score: float | None = None
        error = ""
        try:
            score = self._evaluator(model, self._reporter(f"evaluating trial {number}")).score
        except EvaluationError as failure:
            error = str(failure)
        finally:
            model.close()
        loss = None if score is None else self._criterion.loss(self._baseline.score, score)
        return Trial(
            index=number,
            config=config,
            score=score,
            loss=loss,
            allowance=self._criterion.allowance(self._baseline.score),
            met=score is not None and self._criterion.met(self._baseline.score, score),
            seconds=time.monotonic() - started,
            error=error,
        )

    def _write(self, config: TuningConfig) -> Path:
        model = self._backend.emit(config, select(self._statistics, config))
        return model.save(self._workspace.candidate(config.digest()))

    def _reporter(self, text: str) -> Progress:
        return lambda done, total: self._listener.progress(text, done, total)

    def _keep_best(self) -> None:
        """Remove the files of trials that can no longer be shipped."""
        best = self.best
        for trial in self.trials:
            if best is not None and trial is not best:
                self._workspace.candidate(trial.config.digest()).unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
