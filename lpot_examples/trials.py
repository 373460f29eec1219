"""Trials: emit a configuration, write it, load it back, evaluate the file."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lpot_examples.backends.base import Backend
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import EmitError, EvaluationError, LpotError, OutputError
from lpot_examples.evaluation.bars import Bars, Verdict
from lpot_examples.evaluation.comparison import Comparison
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.evaluator import Progress
from lpot_examples.evaluation.racing import Race
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.evaluation.subset_racing import SubsetRace
from lpot_examples.events import Listener
from lpot_examples.execution.base import Executor, Job, Pending
from lpot_examples.graph import TuningConfig
from lpot_examples.journal import Journal
from lpot_examples.probe import select
from lpot_examples.search.objective import Objective
from lpot_examples.search.trial import Trial
from lpot_examples.spec import Spec
from lpot_examples.spec.evaluation import METRIC_OPTIONS
from lpot_examples.workspace import Workspace

# Failures in a row after which evaluating is taken to be broken, rather than some configurations:
# from the first trial on, and after one that succeeded.
_NEVER_WORKED, _BROKE = 3, 5


@dataclass(kw_only=True)
class _Begun:
    """An evaluation that was submitted.

    Attributes:
        path: The candidate's file.
        pending: Its evaluation.
        race: What may stop it, or None.
        started: When its file was begun, by the monotonic clock.
    """

    path: Path
    pending: Pending
    race: Race | SubsetRace | None
    started: float


class TrialRunner:
    """Runs trials, or reads them from the journal, and keeps the best one's file.

    Args:
        backend: The network.
        statistics: Calibration statistics by sampling size.
        executor: Evaluates models.
        criterion: The bar.
        baseline: The fp32 score; if it has several metrics, so must every candidate's.
        workspace: Where candidates are written.
        journal: Where trials are recorded.
        listener: Told of progress and results.
        comparison: The fp32 model's evaluation, sample by sample; None for its score alone.
        bars: The bar of each metric where there are several; ``criterion`` for all of them if None.
        objective: What decides among trials that meet the bar.
        measures: By objective, what measures a candidate's file, such as its peak memory. Only
            trials that meet the bar are measured.
        latency: Milliseconds that a configuration takes, where these are known.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        statistics: Mapping[int, Statistics],
        executor: Executor,
        criterion: Criterion,
        baseline: EvaluationResult,
        workspace: Workspace,
        journal: Journal,
        listener: Listener,
        comparison: Comparison | None = None,
        bars: Bars | None = None,
        objective: Objective | None = None,
        measures: Mapping[str, Callable[[Path], float]] | None = None,
        latency: Callable[[TuningConfig], float] | None = None,
    ) -> None:
        self._backend = backend
        self._statistics = statistics
        self._executor = executor
        self._criterion = criterion
        self._baseline = baseline
        self._workspace = workspace
        self._journal = journal
        self._listener = listener
        self._bars = bars or Bars(criterion=criterion)
        self._objective = objective or Objective()
        self._bars.judge(baseline, baseline)  # names that do not fit had better be told at once
        self._measures = dict(measures or {})
        self._latency = latency
        self._comparison = comparison or Comparison(baseline, None, criterion)
        self.trials: list[Trial] = []
        self.per_sample: dict[str, Any] = {}  # digest to per-sample scores of this session's trials
        self._hashes: dict[str, str] = {}  # configuration's digest to SHA-256 of its file
        self._unmade: set[str] = set()  # digests of the configurations of which nothing was made
        self._before = {record["digest"] for record in journal.all("trial")}
        self._begun: dict[str, _Begun] = {}  # digest to what was submitted and not collected yet

    @property
    def replaying(self) -> bool:
        """Whether the next trial may be one that the journal holds from an earlier session."""
        done = [trial.config.digest() for trial in self.trials]
        if done and done[-1] not in self._before:
            return False  # the search took another turn: what is left will not be asked for
        return bool(self._before.difference(done))

    def begin(self, configs: Iterable[TuningConfig]) -> None:
        """Start evaluating configurations that `run` will be asked for, as far as there is room.

        A configuration that cannot be made, or that the journal has, is left for `run`.

        Args:
            configs: What comes next, in that order.
        """
        for config in configs:
            digest = config.digest()
            if len(self._begun) >= self._executor.slots:
                return
            if digest in self._begun or self._recorded(config, "trial") is not None:
                continue
            with contextlib.suppress(EmitError):  # `run` will meet it again
                started = time.monotonic()
                path = self._write(config)
                if self._same_file(file_hash(path)) is None:
                    self._begun[digest] = self._submit(config, path, race=True, started=started)

    def abandon(self) -> None:
        """Give up what was begun and not asked for."""
        kept = {trial.config.digest() for trial in self.trials}
        for digest, begun in self._begun.items():
            begun.pending.cancel()
            if digest not in kept:
                begun.path.unlink(missing_ok=True)
        self._begun.clear()

    def settle(self) -> None:
        """Evaluate fully the best of the trials given up, if none met the bar and it may be best.

        The most accurate model is what a search that found no other ends with.

        Raises:
            LpotError: As `run`.
        """
        best = self.best
        stopped = [trial for trial in self.trials if trial.stopped_early]
        if not stopped or (best is not None and best.met):
            return
        promising = min(stopped, key=lambda trial: trial.loss or 0.0)
        if best is not None and (best.loss or 0.0) <= (promising.loss or 0.0):
            return
        self._listener.note(
            f"no trial met the bar; trial {promising.index}, the most promising of those that were "
            "stopped, is evaluated fully."
        )
        place = promising.index - 1
        later = self.trials[place + 1 :]
        del self.trials[place:]  # it takes its own place again
        try:
            full = self.run(promising.config, event="settled")
            self.trials[place] = replace(full, evaluated=full.evaluated + promising.evaluated)
        finally:
            self.trials += later
        self._keep_best()

    def run(self, config: TuningConfig, *, event: str = "trial") -> Trial:
        """Return the trial of a configuration; evaluated unless the journal has it.

        Args:
            config: What to evaluate.
            event: The journal's name for it. A ``trial`` that turns out to be hopeless is given
                up early; others are not.

        Raises:
            EvaluationError: If evaluation after evaluation failed, so that none can be expected to
                succeed.
            OutputError: If the candidate cannot be written.
        """
        digest = config.digest()
        record = self._recorded(config, event)
        if record is not None:
            trial = Trial.from_dict({**record["data"], "index": len(self.trials) + 1})
            self._hashes[digest] = record["sha256"]
        else:
            trial = self._evaluate(config, race=event == "trial")
            self._journal.write(
                event, digest=digest, sha256=self._hashes[digest], data=trial.to_dict()
            )
        self.trials.append(trial)
        self._listener.trial(trial, again=record is not None)
        self._keep_best()
        self._check_failures()
        return trial

    @property
    def best(self) -> Trial | None:
        """The trial to ship: the objective's best that meets the bar, else the most accurate."""
        return self._objective.best(self.trials, self._fp32_work)

    @property
    def runner_up(self) -> Trial | None:
        """The trial that would be shipped if the best one were not, and that meets the bar too.

        None where other things than latency decide.
        """
        best = self.best
        if best is None or self._objective.names != ("performance",):
            return None
        same = self._hashes[best.config.digest()]
        others = [one for one in self.trials if self._hashes[one.config.digest()] != same]
        second = self._objective.best(others, self._fp32_work)
        return second if second is not None and second.met else None

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

    def _evaluate(self, config: TuningConfig, *, race: bool) -> Trial:
        started = time.monotonic()
        number = len(self.trials) + 1
        begun = self._begun.get(config.digest())
        try:
            path = self._write(config) if begun is None else begun.path
        except EmitError as failure:
            self._unmade.add(config.digest())
            self._hashes[config.digest()] = ""
            return self._failed(config, str(failure), seconds=time.monotonic() - started)
        digest = self._hashes[config.digest()] = file_hash(path)
        if (same := self._same_file(digest)) is not None:
            if begun is not None:
                begun.pending.cancel()
                del self._begun[config.digest()]
            return replace(same, index=number, config=config, seconds=0.0, evaluated=0.0)
        if begun is None:
            begun = self._submit(config, path, race=race, started=started)
        result: EvaluationResult | None = None
        error = ""
        verdict: Verdict | None = None
        try:
            result = begun.pending.result(self._reporter(f"evaluating trial {number}"))
            verdict = self._bars.judge(self._baseline, result)
            self.per_sample[config.digest()] = result.per_sample
        except EvaluationError as failure:
            error = str(failure)
        self._begun.pop(config.digest(), None)
        seconds = time.monotonic() - begun.started
        if begun.race is not None and begun.race.stopped(result):
            return self._stopped(config, begun.race, seconds=seconds)
        if result is None or verdict is None:
            return self._failed(config, error, seconds=seconds, evaluated=1.0)
        return Trial(
            index=number,
            config=config,
            score=verdict.score,
            loss=verdict.loss,
            allowance=verdict.allowance,
            met=verdict.met,
            seconds=seconds,
            interval=None if verdict.scores else self._interval(result),
            scores=verdict.scores,
            costs=self._costs(config, path, met=verdict.met),
        )

    def _submit(self, config: TuningConfig, path: Path, *, race: bool, started: float) -> _Begun:
        """Have a candidate's file evaluated."""
        # A race looks at one metric only.
        race = race and not self._baseline.scores
        monitor = self._comparison.race(config.digest()) if race else None
        job = Job(name=path.name, open=partial(self._backend.reader(), path), monitor=monitor)
        return _Begun(path=path, pending=self._executor.submit(job), race=monitor, started=started)

    def _check_failures(self) -> None:
        """Raise if the last evaluations failed one and all."""
        evaluated = [t for t in self.trials if t.config.digest() not in self._unmade]
        works = any(trial.score is not None or trial.stopped_early for trial in evaluated)
        last = evaluated[-(_BROKE if works else _NEVER_WORKED) :]
        if len(last) == (_BROKE if works else _NEVER_WORKED) and all(one.error for one in last):
            raise EvaluationError(
                f"the last {len(last)} trials could not be evaluated; trial {last[-1].index}: "
                f"{last[-1].error}"
            )

    def _costs(self, config: TuningConfig, path: Path, *, met: bool) -> dict[str, float]:
        """Return what is known of a candidate besides its accuracy, by objective."""
        costs = {"modelsize": float(path.stat().st_size)}
        if self._latency is not None:
            costs["performance"] = self._latency(config)
        for name, measure in self._measures.items() if met else ():
            try:
                costs[name] = measure(path)
            except LpotError as error:
                self._listener.warning(f"the {name} of a candidate was NOT measured: {error}")
        return costs

    def _interval(self, result: EvaluationResult | None) -> dict[str, Any] | None:
        """Return how sure a candidate's loss is, if it may be shipped: it can take a second."""
        if result is None:
            return None
        best, (fp32, score) = self.best, (self._baseline.score, result.score)
        loss = self._criterion.loss(fp32, score)
        shippable = best is None or best.loss is None or loss < best.loss
        if not shippable and not self._criterion.met(fp32, score):
            return None
        return self._comparison.judge(result)

    def _stopped(self, config: TuningConfig, race: Race | SubsetRace, *, seconds: float) -> Trial:
        """Return the trial of a configuration whose evaluation was given up as hopeless."""
        assert race.stop is not None
        stop = race.stop
        return Trial(
            index=len(self.trials) + 1,
            config=config,
            score=None,
            loss=max(stop.loss, stop.bound),
            allowance=stop.allowance,
            met=False,
            seconds=seconds,
            evaluated=stop.samples / stop.of,
            stopped_early=asdict(stop),
        )

    def _failed(
        self, config: TuningConfig, error: str, *, seconds: float, evaluated: float = 0.0
    ) -> Trial:
        """Return the trial of a configuration that could not be made or evaluated."""
        return Trial(
            index=len(self.trials) + 1,
            config=config,
            score=None,
            loss=None,
            allowance=self._criterion.allowance(self._baseline.score),
            met=False,
            seconds=seconds,
            evaluated=evaluated,
            error=error,
        )

    def _same_file(self, sha256: str) -> Trial | None:
        """Return an earlier trial of the very same bytes: choices may come to the same network."""
        for trial in self.trials:
            if trial.score is not None and self._hashes[trial.config.digest()] == sha256:
                return trial
        return None

    def _recorded(self, config: TuningConfig, event: str) -> dict[str, Any] | None:
        """Return the journal's record of a trial; one that failed is worth another attempt."""
        record = self._journal.find(event, digest=config.digest())
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


def bars_of(spec: Spec) -> Bars:
    """Return the bar of each metric of a spec; by default that of ``accuracy_criterion``."""
    wanted = spec.tuning.accuracy_criterion
    criterion = Criterion(
        relative=wanted.relative,
        absolute=wanted.absolute,
        higher_is_better=wanted.higher_is_better,
    )
    accuracy = spec.evaluation.accuracy
    if accuracy is None or accuracy.multi_metrics is None:
        return Bars(criterion=criterion)
    given = accuracy.multi_metrics
    names = tuple(name for name in given if name not in METRIC_OPTIONS)
    senses = given.get("higher_is_better") or [criterion.higher_is_better] * len(names)
    own = [replace(criterion, higher_is_better=sense) for sense in senses]
    if "relative" in given:
        own = [replace(one, relative=v) for one, v in zip(own, given["relative"], strict=True)]
        own = [replace(one, absolute=None) for one in own]
    elif "absolute" in given:
        pairs = zip(own, given["absolute"], strict=True)
        own = [replace(one, relative=None, absolute=value) for one, value in pairs]
    weights = tuple(given.get("weight") or ())
    if len(own) == 1:  # an evaluation of one metric gives a plain number
        criterion = own[0]
    return Bars(criterion=criterion, names=names, own=tuple(own), weights=weights)
