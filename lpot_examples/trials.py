"""Trials: emit a configuration, write it, load it back, evaluate the file."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lpot_examples.backends.base import Backend
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import EvaluationError, OutputError
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
        self._hashes: dict[str, str] = {}  # configuration's digest to SHA-256 of its file
        self._before = {record["digest"] for record in journal.all("trial")}

    @property
    def replaying(self) -> bool:
        """Whether the journal holds trials, of an earlier session, that were not asked for yet."""
        done = {trial.config.digest() for trial in self.trials}
        return bool(self._before - done)

    def run(self, config: TuningConfig) -> Trial:
        """Return the trial of a configuration; evaluated unless the journal has it.

        Raises:
            EvaluationError: If the evaluation fails as it did on the trial before.
            OutputError: If the candidate cannot be written.
        """
        digest = config.digest()
        record = self._recorded(config)
        if record is not None:
            trial = Trial.from_dict({**record["data"], "index": len(self.trials) + 1})
            self._hashes[digest] = record["sha256"]
        else:
            trial = self._evaluate(config)
            self._journal.write(
                "trial", digest=digest, sha256=self._hashes[digest], data=trial.to_dict()
            )
        self.trials.append(trial)
        self._listener.trial(trial, again=record is not None)
        self._keep_best()
        failed = [trial.error for trial in self.trials[-2:] if trial.error]
        if len(failed) == 2 or (failed and len(self.trials) == 1):
            raise EvaluationError(f"trial {trial.index} could not be evaluated: {failed[-1]}")
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
        """Return the file that was evaluated in a trial; made again if it is gone or damaged.

        Raises:
            OutputError: If it cannot be made again, byte for byte.
        """
        digest = trial.config.digest()
        path = self._workspace.candidate(digest)
        evaluated = self._hashes[digest]
        if path.exists() and file_hash(path) == evaluated:
            return path
        if file_hash(self._write(trial.config)) != evaluated:
            path.unlink(missing_ok=True)
            raise OutputError(
                f"the model of trial {trial.index} is gone from {path.parent} and cannot be made "
                "again byte for byte; start anew with another workspace."
            )
        return path

    def _fp32_work(self, trial: Trial) -> float:
        """Return what a trial leaves in fp32, in multiply-accumulates (groups if unknown)."""
        graph = self._backend.op_graph
        return sum(graph.group(name).macs or 1 for name in trial.config.fp32)

    def _evaluate(self, config: TuningConfig) -> Trial:
        started = time.monotonic()
        number = len(self.trials) + 1
        path = self._write(config)
        digest = self._hashes[config.digest()] = file_hash(path)
        if (same := self._same_file(digest)) is not None:
            return replace(same, index=number, config=config, seconds=0.0, evaluated=0.0)
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

    def _same_file(self, sha256: str) -> Trial | None:
        """Return an earlier trial of the very same bytes: choices may come to the same network."""
        for trial in self.trials:
            if trial.score is not None and self._hashes[trial.config.digest()] == sha256:
                return trial
        return None

    def _recorded(self, config: TuningConfig) -> dict[str, Any] | None:
        """Return the journal's record of a trial; one that failed is worth another attempt."""
        record = self._journal.find("trial", digest=config.digest())
        return None if record is None or record["data"]["error"] else record

    def _write(self, config: TuningConfig) -> Path:
        model = self._backend.emit(config, select(self._statistics, config))
        return model.save(self._workspace.candidate(config.digest()))

    def _reporter(self, text: str) -> Progress:
        return lambda done, total: self._listener.progress(text, done, total)

    def _keep_best(self) -> None:
        """Remove the files of trials that can no longer be shipped."""
        if (best := self.best) is None:
            return
        digests = {trial.config.digest() for trial in self.trials} - {best.config.digest()}
        for digest in digests:
            with contextlib.suppress(OSError):  # a file too many does no harm
                self._workspace.candidate(digest).unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
