"""The end of a run: the result in place, its latency compared, its report complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lpot_examples.backends.base import Backend, Model, OpDecision
from lpot_examples.baseline import Baseline
from lpot_examples.calibration.feed import Array
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.emission import Emission
from lpot_examples.errors import LpotError
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.events import Listener
from lpot_examples.execution.scorer import ExecutorScorer
from lpot_examples.graph import TuningConfig
from lpot_examples.journal import Journal
from lpot_examples.probe import select
from lpot_examples.report.build import Latency, Outcome, Rival, build_report, measure
from lpot_examples.report.fallback import ship_faster
from lpot_examples.report.publish import publish, remove_pair, write_reports
from lpot_examples.search import SearchSpace, Trial
from lpot_examples.search.strategies import Strategy
from lpot_examples.spec import Spec
from lpot_examples.trials import TrialRunner, file_hash
from lpot_examples.workspace import Workspace, page_path, report_path, temporary_path

# The comparison ends early once every speed-up is known to about this much.
_PRECISION = 0.03


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

    @property
    def certified(self) -> bool | None:
        """Whether every file that was asked for meets the bar; None if accuracy was not checked."""
        verdicts = [self.met, *(one["met"] for one in self.report["artifacts"][1:])]
        return False if False in verdicts else None if None in verdicts else True


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search has found so far.

    Attributes:
        statistics: Calibration statistics by sampling size.
        samples: A few calibration batches.
        seconds: Wall time spent.
        baseline: The fp32 network's evaluation, or None if accuracy is not checked.
        runner: The trials, or None likewise.
        strategy: What asked for them.
        exhausted: Whether the budget ended before the search did, with the bar missed.
        scorer: Evaluates files; None if accuracy is not checked.
    """

    statistics: Mapping[int, Statistics]
    samples: Sequence[dict[str, Array]]
    seconds: float
    baseline: Baseline | None
    runner: TrialRunner | None
    strategy: Strategy | None
    exhausted: bool = False
    scorer: ExecutorScorer | None = None


@dataclass(kw_only=True)
class Conclusion:
    """Puts results in place; the best so far during a search, and the last one at its end.

    Attributes:
        backend: The network.
        space: The configurations that were to choose from.
        spec: The tuning spec.
        criterion: The bar.
        workspace: Where files go.
        journal: The run's record.
        source: The fp32 model's file, for the benchmark; None if it has none.
        listener: Told of everything.
        strategy: The name of the strategy that runs.
        benchmark_seconds: Time for the comparison of latencies; 0 leaves it out.
        runtime: What runs the result.
        emissions: The further forms that the result shall have.
        published: The result, once it is in place and no trial can change it but the runner-up.
    """

    backend: Backend
    space: SearchSpace
    spec: Spec
    criterion: Criterion
    workspace: Workspace
    journal: Journal
    source: Path | None
    listener: Listener
    strategy: str
    benchmark_seconds: float
    runtime: str = ""
    emissions: Sequence[Emission] = ()
    published: Path | None = field(default=None, init=False)
    _explained: dict[str, list[OpDecision]] = field(default_factory=dict, init=False)

    def conclude(self, config: TuningConfig, best: Trial | None, found: Found) -> TuningResult:
        """Publish the result, compare its latency and complete its report.

        Both fp32 and the runner-up may turn out to be faster than the best trial; what is faster
        is then the result.
        """
        outcome = self.publish(config, best, found, complete=True)
        path = outcome.model
        if best is not None and not best.met:
            self.listener.warning(f"{best.shortfall()}.")
        self._mind_others(path)
        second = None if found.runner is None else found.runner.runner_up
        compared = self._compared(outcome, second, found)
        shipped = ship_faster(compared, self.workspace.slower)
        artifacts = [one.make(shipped, found, self.backend) for one in self.emissions]
        report = build_report(replace(shipped, artifacts=artifacts))
        write_reports(report, path)
        others = [one.path for one in artifacts if one.path is not None]
        self.listener.finished(report, path, (report_path(path), page_path(path), *others))
        met = None if compared.best is None else compared.best.met
        event = "exhausted" if found.exhausted else "finished"
        self.journal.write(event, model=str(path), sha256=file_hash(path), met=met)
        return TuningResult(self.backend.load(path), path, met, report, report_path(path))

    def publish(
        self, config: TuningConfig, best: Trial | None, found: Found, *, complete: bool
    ) -> Outcome:
        """Put the model and a report without latencies in place; return what it was made from.

        For a trial these are the very bytes that were evaluated.
        """
        statistics = select(found.statistics, config)
        if best is not None and found.runner is not None:
            made = found.runner.file(best)
        else:
            model = self.backend.emit(config, statistics)
            made = model.save(self.workspace.candidate(config.digest()))
        met = best is None or best.met
        target = self.workspace.output if met else self.workspace.uncertified
        baseline, strategy = found.baseline, found.strategy
        outcome = Outcome(
            spec=self.spec,
            criterion=self.criterion,
            baseline=baseline.result if baseline else None,
            repeatability=baseline.repeatability if baseline else None,
            best=best,
            trials=found.runner.trials if found.runner is not None else [],
            seconds=found.seconds,
            latency=None,
            decisions=self._decisions(config, statistics, strategy),
            exactness=self.backend.exactness(config, statistics),
            config=config,
            source=self.source,
            model=target,
            calibration_samples=statistics.samples,
            strategy=self.strategy,
            engine=self.backend.engine,
            sessions=self.journal.sessions,
            complete=complete,
            sensitivity=strategy.sensitivity if strategy else {},
            latency_map=strategy.context.costs if strategy else None,
            runtime=self.runtime,
        )
        publish(made, target, lambda: build_report(outcome))
        if complete:
            self.published = target
        self.journal.write("saved", model=str(target), sha256=file_hash(target), met=met)
        return outcome

    def _compared(self, outcome: Outcome, second: Trial | None, found: Found) -> Outcome:
        """Compare latencies; the runner-up takes the place of a best trial that is slower."""
        runner, best = found.runner, outcome.best
        if second is None or runner is None or best is None:
            return replace(outcome, latency=self._measure(outcome.model, None, found))
        latency = self._measure(outcome.model, runner.file(second), found)
        if latency is None:
            return outcome
        ratio = latency.ratio("int8", "runner_up")
        rival = Rival(trial=second.index, instead_of=best.index, ratio=ratio, taken=False)
        if ratio.interval.low <= 1:
            return replace(outcome, latency=latency, rival=rival)
        self.listener.note(
            f"trial {second.index} was measured to be {ratio.value:.2f} times as fast as trial "
            f"{best.index}, meets the bar too, and is the result."
        )
        swapped = self.publish(second.config, second, found, complete=True)
        rival = replace(rival, taken=True)
        return replace(swapped, latency=latency.renamed("runner_up", "int8"), rival=rival)

    def _measure(self, path: Path, second: Path | None, found: Found) -> Latency | None:
        """Compare latencies; a machine that cannot be measured on does not spoil the result."""
        if self.source is None or self.benchmark_seconds <= 0:
            return None
        self.listener.stage("Comparing latency with fp32")
        models = {"fp32": self.source, "int8": path}
        if second is not None:
            models["runner_up"] = second
        try:
            return measure(
                models,
                inputs=tuple(self.backend.input_spec),
                outputs=self.spec.model.outputs,
                sample=found.samples[0] if found.samples else None,
                seconds=self.benchmark_seconds,
                precision=_PRECISION,
                folder=temporary_path(self.workspace.scratch),
                progress=lambda done, total: self.listener.progress("timing", done, total),
                runtimes=dict.fromkeys(models, self.runtime) if self._is_elsewhere(path) else None,
            )
        except LpotError as error:
            self.listener.warning(f"latency was NOT compared with fp32: {error}")
            return None

    def _is_elsewhere(self, path: Path) -> bool:
        """Tell whether a file will run on another runtime than its own."""
        from lpot_examples.runtimes.table import own_runtime

        return self.runtime not in ("", own_runtime(path).name)

    def _decisions(
        self, config: TuningConfig, statistics: Statistics, strategy: Strategy | None
    ) -> list[OpDecision]:
        digest = config.digest()
        if digest not in self._explained:
            chosen = {
                name: "measured to be faster in fp32 on this host"
                if strategy is not None and name in strategy.slower
                else "reverted: int8 here costs more accuracy than elsewhere"
                for name in config.fp32 - set(self.space.reasons)
            }
            reasons = {**chosen, **self.space.reasons}
            self._explained = {digest: self.backend.explain(config, statistics, reasons)}
        return self._explained[digest]

    def _mind_others(self, result: Path) -> None:
        """Remove this run's own uncertified result once it is superseded; mention other runs'."""
        certified, uncertified = self.workspace.output, self.workspace.uncertified
        other = uncertified if result == certified else certified
        if not other.is_file():
            return
        own = self.journal.find("saved", model=str(other), sha256=file_hash(other))
        if own is not None and other == uncertified:
            remove_pair(other)
        else:
            self.listener.note(f"{other} is the result of an earlier run; it was left as it is.")
