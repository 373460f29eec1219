"""The run: baseline, calibration, search, certification, benchmark, report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.backends.base import Backend, Model
from lpot_examples.calibration.cache import DataHash, StatisticsCache
from lpot_examples.calibration.feed import Array, batches, samples
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.errors import LpotError, OutputError
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.evaluator import Evaluator
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.events import Listener
from lpot_examples.graph import TuningConfig
from lpot_examples.journal import Journal
from lpot_examples.probe import SAMPLES, OutputErrorProbe, select
from lpot_examples.report.build import Latency, Outcome, build_report, measure, write_report
from lpot_examples.search import SearchSpace, Trial
from lpot_examples.search.strategies import STRATEGIES, StrategyContext
from lpot_examples.spec import Spec
from lpot_examples.trials import TrialRunner, file_hash
from lpot_examples.workspace import Workspace, report_path


# Fewer samples than this beyond the calibration data say too little; seen ones are used then.
_FEWEST_UNSEEN = 8


class Interrupted(LpotError):
    """The user stopped the run."""

    exit_code = 130


@dataclass(frozen=True)
class TuningResult:
    """What a run ends with.

    Attributes:
        model: The tuned network, loaded back from `path`.
        path: Its file.
        met: Whether the bar was met; None if accuracy was not checked.
        report: The content of the report.
        report_path: The report's file.
    """

    model: Model
    path: Path
    met: bool | None
    report: dict[str, Any]
    report_path: Path


class Tuner:
    """One tuning run.

    Args:
        backend: The network.
        space: The configurations to choose from.
        spec: The tuning spec.
        dataloader: Calibration data; see `calibration.feed.batches`.
        evaluator: Scores models; None to quantize without checking accuracy.
        workspace: Where files go.
        journal: The run's record; resumed if it holds events.
        source: The fp32 model's file, for the benchmark; None if it has none.
        calibration_key: Hash of the network and of the calibration pass, for the cache.
        listener: Told of everything.
        benchmark_seconds: Time for the final comparison of latencies; 0 leaves it out.
    """

    def __init__(
        self,
        *,
        backend: Backend,
        space: SearchSpace,
        spec: Spec,
        dataloader: Iterable[Any],
        evaluator: Evaluator | None,
        workspace: Workspace,
        journal: Journal,
        source: Path | None,
        calibration_key: str,
        listener: Listener,
        benchmark_seconds: float = 8.0,
    ) -> None:
        self._backend = backend
        self._space = space
        self._spec = spec
        self._dataloader = dataloader
        self._evaluator = evaluator
        self._workspace = workspace
        self._journal = journal
        self._source = source
        self._cache = StatisticsCache(workspace.calibration, calibration_key)
        self._listener = listener
        self._benchmark_seconds = benchmark_seconds
        self._criterion = _criterion(spec)
        self._started = time.monotonic()
        self._samples: list[dict[str, Array]] = []
        self._runner: TrialRunner | None = None

    def run(self) -> TuningResult:
        """Tune.

        Raises:
            LpotError: For anything that the user can mend; the best model so far is then saved.
        """
        try:
            return self._run()
        except KeyboardInterrupt:
            raise Interrupted(f"stopped. {self._rescue()}") from None
        except LpotError as error:
            if self._runner is not None and self._runner.best is not None:
                self._listener.note(self._rescue())
            raise error

    def _run(self) -> TuningResult:
        baseline = self._baseline() if self._evaluator else None
        statistics = self._calibrate()
        probe = OutputErrorProbe(self._backend, statistics, self._samples, self._journal)
        context = StrategyContext(self._space, probe, self._listener.progress)
        strategy = STRATEGIES["bisection"](context)
        if baseline is None or self._evaluator is None:
            return self._unchecked(statistics, strategy.ask())
        self._runner = runner = TrialRunner(
            backend=self._backend,
            statistics=statistics,
            evaluator=self._evaluator,
            criterion=self._criterion,
            baseline=baseline,
            workspace=self._workspace,
            journal=self._journal,
            listener=self._listener,
        )
        self._listener.stage("Searching")
        while not self._out_of_budget(runner) and (config := strategy.ask()) is not None:
            strategy.tell(runner.run(config))
        best = runner.best
        if best is None:
            raise LpotError("no trial could be evaluated.")
        return self._finish(statistics, best, baseline)

    def _out_of_budget(self, runner: TrialRunner) -> bool:
        policy = self._spec.tuning.exit_policy
        if len(runner.trials) >= policy.max_trials:
            self._listener.note(f"max_trials ({policy.max_trials}) is reached.")
            return True
        if 0 < policy.timeout <= self._elapsed() and runner.trials:
            self._listener.note(f"the timeout of {policy.timeout:g} s is reached.")
            return True
        return False

    def _elapsed(self) -> float:
        """Return the seconds spent on this run, earlier sessions' trials included."""
        before = self._runner.seconds_before if self._runner else 0.0
        return time.monotonic() - self._started + before

    def _baseline(self) -> EvaluationResult:
        """Evaluate the network as given."""
        assert self._evaluator is not None
        self._listener.stage("Evaluating the fp32 model")
        known = self._journal.find("baseline")
        if known is not None:
            result = EvaluationResult(
                score=known["score"], metric=known["metric"], samples=known["samples"]
            )
        else:
            result = self._evaluator(
                self._backend.baseline(),
                lambda done, total: self._listener.progress("evaluating fp32", done, total),
            )
            self._journal.write(
                "baseline", score=result.score, metric=result.metric, samples=result.samples
            )
        self._listener.baseline(result, again=known is not None)
        return result

    def _calibrate(self) -> dict[int, Statistics]:
        """Collect statistics, or find them in the cache; keep a few samples for the probe."""
        sizes = self._space.sizes
        self._listener.stage("Calibrating")
        # A generator can be read only once, so its data cannot be compared with the cache first.
        repeatable = iter(self._dataloader) is not self._dataloader
        if repeatable and self._cache.might_hold():
            digest = DataHash()
            for _ in self._stream(digest, max(sizes)):
                pass
            if (found := self._cache.load(digest.key, sizes)) is not None:
                self._listener.note("statistics of this model and data are in the cache.")
                return found
        digest = DataHash()
        found = self._backend.calibrate(
            self._stream(digest, max(sizes)),
            sizes=sizes,
            progress=lambda done: self._listener.progress("calibrating", done, max(sizes)),
        )
        seen = max(statistics.samples for statistics in found.values())
        if seen < max(sizes):
            self._listener.note(
                f"the calibration data ended after {seen} of {max(sizes)} samples; all were used."
            )
        self._cache.store(digest.key, found)
        return found

    def _stream(self, digest: DataHash, size: int) -> Iterable[dict[str, Array]]:
        """Yield the calibration samples; keep some, and those that follow, for the probe.

        The probe had better judge by samples that the statistics have not seen, so it takes what
        the dataloader yields beyond the sampling size, if that is enough.
        """
        checked = batches(self._dataloader, self._backend.input_spec, limit=size + SAMPLES)
        first: list[dict[str, Array]] = []
        after: list[dict[str, Array]] = []
        seen = 0
        for batch in digest.through(checked):
            count = samples(batch)
            room = max(0, min(size - seen, count))
            seen += count
            if room:
                _keep(first, {name: array[:room] for name, array in batch.items()})
                yield {name: array[:room] for name, array in batch.items()}
            if room < count:
                _keep(after, {name: array[room:] for name, array in batch.items()})
        enough = sum(map(samples, after)) >= _FEWEST_UNSEEN
        self._samples = after if enough else first

    def _unchecked(
        self, statistics: dict[int, Statistics], config: TuningConfig | None
    ) -> TuningResult:
        """Quantize all that can be, from calibration alone."""
        assert config is not None
        self._listener.warning(
            "accuracy was NOT checked: there is no eval_func. Everything that can be is int8."
        )
        model = self._backend.emit(config, select(statistics, config))
        path = model.save(self._workspace.output)
        return self._conclude(statistics, config, path, trials=[], baseline=None, best=None)

    def _finish(
        self, statistics: dict[int, Statistics], best: Trial, baseline: EvaluationResult
    ) -> TuningResult:
        """Ship the best trial's own file: the bytes that were evaluated."""
        assert self._runner is not None
        target = self._workspace.output if best.met else self._workspace.uncertified
        _copy(self._runner.file(best), target)
        trials = self._runner.trials
        return self._conclude(
            statistics, best.config, target, trials=trials, baseline=baseline, best=best
        )

    def _conclude(
        self,
        statistics: dict[int, Statistics],
        config: TuningConfig,
        path: Path,
        *,
        trials: list[Trial],
        baseline: EvaluationResult | None,
        best: Trial | None,
    ) -> TuningResult:
        seconds = self._elapsed()
        latency = self._measure(path)
        chosen = {
            name: "reverted: int8 here costs more accuracy than elsewhere"
            for name in config.fp32 - set(self._space.reasons)
        }
        decisions = self._backend.explain(
            config, select(statistics, config), {**chosen, **self._space.reasons}
        )
        outcome = Outcome(
            spec=self._spec,
            criterion=self._criterion,
            baseline=baseline,
            best=best,
            trials=trials,
            seconds=seconds,
            latency=latency,
            decisions=decisions,
            config=config,
            source=self._source,
            model=path,
            calibration_samples=select(statistics, config).samples,
            strategy="bisection",
        )
        report = build_report(outcome)
        target = report_path(path)
        write_report(report, target)
        self._journal.write(
            "finished", model=str(path), sha256=file_hash(path), met=report["accuracy"]["met"]
        )
        met = best.met if best is not None else None
        return TuningResult(self._backend.load(path), path, met, report, target)

    def _measure(self, path: Path) -> Latency | None:
        if self._source is None or self._benchmark_seconds <= 0:
            return None
        self._listener.stage("Comparing latency with fp32")
        inputs, outputs = tuple(self._backend.input_spec), self._spec.model.outputs
        return measure(
            self._source,
            path,
            inputs=inputs,
            outputs=outputs,
            sample=self._samples[0] if self._samples else None,
            seconds=self._benchmark_seconds,
            folder=self._workspace.folder,
            progress=lambda done, total: self._listener.progress("timing", done, total),
        )

    def _rescue(self) -> str:
        """Save the best model so far; return a sentence that says where."""
        runner = self._runner
        best = runner.best if runner is not None else None
        if runner is None or best is None:
            return "Nothing was finished yet; the same command starts where this one stopped."
        target = self._workspace.output if best.met else self._workspace.uncertified
        try:
            _copy(runner.file(best), target)
        except (OutputError, OSError) as error:
            return f"The best model so far could not be saved: {error}"
        state = "meets the bar" if best.met else "does not meet the bar"
        return (
            f"The best model so far ({state}) is {target}; the same command continues the search."
        )


def _keep(kept: list[dict[str, Array]], batch: dict[str, Array]) -> None:
    """Add a batch to the samples that are kept, up to `SAMPLES` of them."""
    room = SAMPLES - sum(map(samples, kept))
    if room > 0:
        kept.append({name: array[:room].copy() for name, array in batch.items()})


def _criterion(spec: Spec) -> Criterion:
    wanted = spec.tuning.accuracy_criterion
    return Criterion(
        relative=wanted.relative,
        absolute=wanted.absolute,
        higher_is_better=wanted.higher_is_better,
    )


def _copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write the model to {target}: {error.strerror}. It is kept as {source}."
        ) from error
