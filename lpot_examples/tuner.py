"""The run: baseline, calibration, search, certification, benchmark, report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lpot_examples.backends.base import Backend
from lpot_examples.baseline import Baseline, evaluate_baseline
from lpot_examples.benchmark.footprint import peak_memory
from lpot_examples.budget import Budget
from lpot_examples.calibration.cache import DataHash, StatisticsCache
from lpot_examples.calibration.feed import Array, batches
from lpot_examples.calibration.held_out import HeldOut
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.conclusion import Conclusion, Found, TuningResult
from lpot_examples.emission import Emission
from lpot_examples.errors import LpotError
from lpot_examples.evaluation.evaluator import Evaluator
from lpot_examples.events import Listener
from lpot_examples.execution.base import Executor
from lpot_examples.execution.local import LocalExecutor
from lpot_examples.execution.scorer import ExecutorScorer, Unopened
from lpot_examples.graph import LatencyMap, TuningConfig
from lpot_examples.journal import Journal
from lpot_examples.pace import Pace
from lpot_examples.probe import SAMPLES, OutputErrorProbe
from lpot_examples.report.partial import describe_run
from lpot_examples.search import SearchSpace, Trial
from lpot_examples.search.allocation import predict
from lpot_examples.search.objective import Objective
from lpot_examples.search.strategies import DEFAULT, STRATEGIES, Strategy, StrategyContext
from lpot_examples.spec import Spec
from lpot_examples.trials import TrialRunner, bars_of
from lpot_examples.workspace import Workspace


class Interrupted(LpotError):
    """The user stopped the run."""

    exit_code = 130


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
        executor: Where ``evaluator``'s evaluation is carried out; in this process by default.
        runtime: What runs the result.
        emissions: The further forms that the result shall have.
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
        executor: Executor | None = None,
        runtime: str = "",
        emissions: Sequence[Emission] = (),
    ) -> None:
        self._backend = backend
        self._space = space
        self._spec = spec
        self._dataloader = dataloader
        self._evaluator = evaluator
        self._executor = executor
        if executor is None and evaluator is not None:
            self._executor = LocalExecutor(evaluator)
        self._workspace = workspace
        self._journal = journal
        self._source = source
        self._cache = StatisticsCache(workspace.calibration, calibration_key)
        self._listener = listener
        self._benchmark_seconds = benchmark_seconds
        self._criterion = bars_of(spec).criterion
        self._budget = Budget(spec.tuning.exit_policy, seconds_before=journal.seconds_before)
        self._samples: list[dict[str, Array]] = []
        self._statistics: dict[int, Statistics] = {}
        self._baseline: Baseline | None = None
        self._runner: TrialRunner | None = None
        self._scorer: ExecutorScorer | None = None
        self._chosen: Strategy | None = None
        self._saved: Trial | None = None  # of which the model is in place already
        self._conclusion = Conclusion(
            backend=backend,
            space=space,
            spec=spec,
            criterion=self._criterion,
            workspace=workspace,
            journal=journal,
            source=source,
            listener=listener,
            strategy=runnable(spec),
            benchmark_seconds=benchmark_seconds,
            runtime=runtime,
            emissions=emissions,
        )
        self._exhausted = False  # the budget ended before the search did, and the bar is missed

    def run(self) -> TuningResult:
        """Tune.

        Raises:
            LpotError: For anything that the user can mend; the best model so far is then saved.
        """
        try:
            return self._run()
        except KeyboardInterrupt:
            raise Interrupted(f"stopped. {self._rescue()}") from None
        except Exception as error:
            # Even if the cause is a defect of this project: what was found is not lost.
            found = self._runner is not None and self._runner.best
            if self._conclusion.published is not None or found:
                saved = self._rescue()
                if str(error) not in saved:
                    self._listener.note(saved)
            raise

    def _run(self) -> TuningResult:
        describe_run(
            self._journal,
            spec=self._spec,
            criterion=self._criterion,
            graph=self._backend.op_graph,
            source=self._source,
            strategy=runnable(self._spec),
            engine=self._backend.engine,
        )
        scorer = None
        if self._evaluator is not None and self._executor is not None:
            scorer = self._scorer = ExecutorScorer(self._executor, self._evaluator)
            self._baseline = evaluate_baseline(
                self._fp32,
                scorer,
                self._criterion,
                journal=self._journal,
                listener=self._listener,
            )
        self._statistics = self._calibrate()
        strategy = self._strategy()
        if self._baseline is None or self._executor is None or scorer is None:
            return self._unchecked(strategy.plain())
        costs = strategy.context.costs
        self._runner = runner = TrialRunner(
            backend=self._backend,
            statistics=self._statistics,
            executor=self._executor,
            criterion=self._criterion,
            baseline=self._baseline.result,
            workspace=self._workspace,
            journal=self._journal,
            listener=self._listener,
            comparison=self._baseline.comparison,
            latency=None if costs is None else partial(_predicted, costs),
            bars=bars_of(self._spec),
            objective=(objective := Objective.of(self._spec)),
            measures={"footprint": self._peak_memory} if "footprint" in objective.names else {},
        )
        self._listener.stage("Searching")
        while not self._out_of_budget(runner) and (config := strategy.ask()) is not None:
            self._remember(strategy)
            left = self._spec.tuning.exit_policy.max_trials - len(runner.trials)
            ahead = min(self._executor.slots, left) - 1
            if ahead and not runner.replaying:
                runner.begin([config, *strategy.upcoming(ahead)])
            strategy.tell(runner.run(config))
            self._save_best(runner)
        runner.abandon()
        runner.settle()
        best = runner.best
        if best is None:
            failed = runner.trials[-1].error if runner.trials else "none was made."
            raise LpotError(f"no trial could be evaluated: {failed}")
        if not self._exhausted:
            self._baseline = self._baseline.confirmed(
                lambda: Unopened(
                    name="the result", open=partial(self._backend.reader(), runner.file(best))
                ),
                best,
                scorer,
                trials=len(runner.trials),
                journal=self._journal,
                listener=self._listener,
            )
        self._executor.close()  # latencies are compared next, and no worker is needed any more
        return self._conclusion.conclude(best.config, best, self._found())

    def _fp32(self) -> Unopened:
        """Return the network as given, to be evaluated where the executor does."""
        if self._executor is None or not self._executor.elsewhere:
            return Unopened(name="fp32", open=self._backend.baseline, keep=True)
        source = self._source or self._backend.baseline().save(self._workspace.fp32)
        return Unopened(name="fp32", open=partial(self._backend.reader(given=True), source))

    def _save_best(self, runner: TrialRunner) -> None:
        """Put the best model so far, if it meets the bar, where the result goes."""
        best = runner.best
        if best is None or not best.met or runner.replaying or best == self._saved:
            return
        self._conclusion.publish(best.config, best, self._found(), complete=False)
        self._saved = best

    def _remember(self, strategy: Strategy) -> None:
        """Let the journal have the sensitivities, for the report of a run that is not finished."""
        found = dict(strategy.sensitivity)
        if found and self._journal.find("sensitivity", found=found) is None:
            self._journal.write("sensitivity", found=found)

    def _strategy(self) -> Strategy:
        """Return the strategy that the spec names, or the default if it cannot run yet."""
        wanted, used = self._spec.tuning.strategy.name, runnable(self._spec)
        if wanted != used:
            self._listener.warning(
                f"strategy '{wanted}' is not available in this version; {used} is used."
            )
        probe = OutputErrorProbe(self._backend, self._statistics, self._samples, self._journal)
        wish = self._spec.tuning
        pace = self._pace()
        context = StrategyContext(
            self._space,
            probe,
            self._listener.progress,
            seed=wish.random_seed,
            max_trials=wish.exit_policy.max_trials,
            keep_going=wish.exit_policy.timeout > 0,
            weights=(wish.strategy.accuracy_weight, wish.strategy.latency_weight),
            costs=None if pace is None else pace.costs(self._space.base),
            compare=None if pace is None else pace.compare,
        )
        self._chosen = STRATEGIES[used](context)
        return self._chosen

    def _pace(self) -> Pace | None:
        """Return what measures latencies in the search, unless they are not to be measured."""
        if self._benchmark_seconds <= 0 or not self._samples:
            return None
        self._listener.stage("Measuring the latency of every op")
        sample = {name: array[:1] for name, array in self._samples[0].items()}
        return Pace(self._backend, self._statistics, sample, self._journal)

    def _out_of_budget(self, runner: TrialRunner) -> bool:
        """Tell whether no more trials may be made; those of the journal cost no time."""
        reason = self._budget.exceeded(len(runner.trials), replaying=runner.replaying)
        if reason and not (runner.best and runner.best.met):
            self._exhausted = True
            self._listener.note(f"{reason}; with a larger one the same command continues.")
        return bool(reason)

    def _calibrate(self) -> dict[int, Statistics]:
        """Collect statistics, or find them in the cache; keep a few samples for the probe."""
        sizes = self._space.sizes
        self._listener.stage("Calibrating")
        # A generator can be read only once, so its data cannot be compared with the cache first.
        repeatable = not hasattr(self._dataloader, "__next__")
        if repeatable and self._cache.might_hold():
            digest = DataHash()
            for _ in self._stream(digest, max(sizes)):
                pass
            if (found := self._cache.load(digest.key, sizes)) is not None:
                self._listener.note("statistics of this model and data are in the cache.")
                self._journal.narrow(calibration=digest.key)
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
        self._journal.narrow(calibration=digest.key)
        return found

    def _stream(self, digest: DataHash, size: int) -> Iterator[dict[str, Array]]:
        """Yield the calibration samples; keep some, and those that follow, for the probe."""
        checked = batches(self._dataloader, self._backend.input_spec, limit=size + SAMPLES)
        held_out = HeldOut(SAMPLES)
        yield from held_out.through(digest.through(checked), size)
        self._samples = held_out.batches

    def _peak_memory(self, model: Path) -> int:
        return peak_memory(
            model, inputs=tuple(self._backend.input_spec), outputs=self._spec.model.outputs
        )

    def _unchecked(self, config: TuningConfig) -> TuningResult:
        """Quantize from calibration alone."""
        why = (
            "performance_only is set"
            if self._spec.tuning.exit_policy.performance_only
            else "there is no eval_func, and no evaluation.accuracy in the spec"
        )
        self._listener.warning(
            f"accuracy was NOT checked: {why}. Nothing is kept in fp32 for its sake."
        )
        return self._conclusion.conclude(config, None, self._found())

    def _found(self) -> Found:
        return Found(
            statistics=self._statistics,
            samples=self._samples,
            seconds=self._budget.spent(),
            baseline=self._baseline,
            runner=self._runner,
            strategy=self._chosen,
            exhausted=self._exhausted,
            scorer=self._scorer,
        )

    def _rescue(self) -> str:
        """Save the best model so far; return a sentence that says where."""
        if (published := self._conclusion.published) is not None:
            return (
                f"The result {published} is complete but for the comparison of latency and further "
                "forms; the same command makes up for it."
            )
        best = self._runner.best if self._runner is not None else None
        if best is None:
            return "Nothing was finished yet; the same command starts where this one stopped."
        try:
            saved = self._conclusion.publish(best.config, best, self._found(), complete=False)
        except LpotError as error:
            return f"The best model so far could not be saved: {error}"
        state = "meets the bar" if best.met else "does not meet the bar"
        return (
            f"The best model so far ({state}) is {saved.model}; the same command continues the "
            "search."
        )


def _predicted(costs: LatencyMap, config: TuningConfig) -> float:
    """Return the milliseconds that a configuration takes, as far as its parts tell."""
    return predict(costs, config.fp32)


def runnable(spec: Spec) -> str:
    """Return the name of the strategy that runs: the spec's, or the default."""
    wanted = spec.tuning.strategy.name
    return wanted if wanted in STRATEGIES else DEFAULT
