"""Measures how models serve: a short pass over all settings, long rounds, latency under load."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lpot_examples.benchmark.interleaved import (
    Noise,
    Schedule,
    collect,
    play_rounds,
    select_rounds,
)
from lpot_examples.benchmark.pool import BenchmarkError
from lpot_examples.benchmark.serving.choice import finalists, to_load
from lpot_examples.benchmark.serving.fleet import Fleet
from lpot_examples.benchmark.serving.layouts import (
    BATCHES,
    Layout,
    Setting,
    layouts,
    left_out,
    thread_layouts,
)
from lpot_examples.benchmark.serving.load import SHARE_UNDER_LOAD, measure_load
from lpot_examples.benchmark.serving.remarks import Remarks
from lpot_examples.benchmark.serving.result import LoadCurve, Served, ServingReport
from lpot_examples.benchmark.worker import LOADER, Job
from lpot_examples.errors import LpotError
from lpot_examples.host import available_cores, host_info, library_versions

SECONDS = 60.0
"""How long to measure by default, for each model on each runtime."""

_TIMEOUT = 600.0
_SHORT_ROUNDS = 3
# What each part has at least of the whole time, however long those before it took.
_LEAST = 0.15
_ROUNDS = 12
_FEWEST_ROUNDS = 6
_SHORTEST_TURN = 0.05
_MOST_ROUNDS = 30
# A single turn may take so much of the whole time; larger batches are not tried then.
_LONGEST_TURN = 1 / 30
_CALLS_IN_TURN = 4

Progress = Callable[[int, int], None]
"""Called with seconds (passed, planned)."""


def measure_serving(
    models: Mapping[str, Path],
    *,
    runtimes: Mapping[str, str] | None = None,
    batch_sizes: Sequence[int] = (),
    instances: Sequence[int] = (),
    cores_per_instance: Sequence[int] = (),
    seconds: float | None = None,
    latency_limit: float | None = None,
    under_load: bool = True,
    threads: bool = False,
    contest: bool = False,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    input_file: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    timeout: float = _TIMEOUT,
    loader: str = LOADER,
) -> ServingReport:
    """Find how to serve models best on the cores of this process.

    Args:
        models: Model files by name; a file may be listed under several names, with a runtime each.
        runtimes: Runtime by the name of a model; its file's own where it is not listed.
        batch_sizes: Samples in a request; 1 to 16 if empty, or what is built into the model.
        instances: Numbers of processes; see `layouts`.
        cores_per_instance: Cores of each process; see `layouts`.
        seconds: Time for everything, start of processes included; a minute for each model if
            None, less without load. It is exceeded where starting and the fewest rounds take
            longer.
        latency_limit: Milliseconds within which p99 under load shall be.
        under_load: Whether latency under load is measured.
        threads: Whether the lowest latency is wanted, too: single instances of every number of
            threads are tried, unless instances or cores were given.
        contest: Whether only the best of all models is wanted; those that are far behind are left
            out of the long rounds.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        input_file: ``.npy`` or ``.npz`` with samples; noise without it.
        seed: Seed of the arrivals.
        progress: Told after each turn.
        timeout: Seconds that loading or one turn may take.
        loader: See `worker.Job`.

    Raises:
        BenchmarkError: If the cores do not suffice, or a number makes no sense.
        LpotError: If none of the models can be run.
    """
    _check(batch_sizes, seconds, latency_limit)
    job = Job(
        models={name: str(path) for name, path in models.items()},
        cores=(),
        threads=1,
        batch_size=None,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        input_file=None if input_file is None else str(input_file),
        loader=loader,
        runtimes=dict(runtimes or {}),
    )
    cores = len(available_cores())
    physical = min(cores, host_info().physical_cores)
    asked = bool(instances or cores_per_instance)
    tried = layouts(
        cores, physical=physical, instances=instances, cores_per_instance=cores_per_instance
    )
    single = thread_layouts(cores, physical=physical) if threads and not asked else ()
    timed = 1.0 - SHARE_UNDER_LOAD
    default = SECONDS * len(models) * (1.0 if under_load else timed)
    clock = _Clock(seconds or default, progress)
    with Fleet(job, timeout=timeout, tick=clock.tick) as fleet:
        run = _Measurement(
            fleet,
            clock,
            timed=timed if under_load else 1.0,
            latency_limit=latency_limit,
            contest=contest,
            threads=threads,
        )
        if not asked:
            run.remarks.add(left_out(cores, tried))
        run.screen(tried, single, batch_sizes)
        served, noise = run.time_finalists()
        curves: tuple[LoadCurve, ...] = ()
        if under_load:
            curves = measure_load(
                fleet,
                to_load(served, latency_limit=latency_limit),
                seconds=max(clock.until(1.0), _LEAST * clock.total),
                latency_limit=latency_limit,
                seed=seed,
                remarks=run.remarks,
            )
        used = tuple(fleet.cores)
        failed = {name: str(error) for name, error in fleet.failed.items()}
    clock.finish()
    return ServingReport(
        models={name: path for name, path in job.models.items() if name not in failed},
        runtimes=job.runtimes,
        served=tuple(served) + tuple(run.only_screened(served)),
        curves=curves,
        layouts=tuple(sorted({*tried, *single})),
        cores=used,
        failed=failed,
        remarks=run.remarks.sentences(),
        noise=noise,
        latency_limit=latency_limit,
        seconds=clock.passed,
        seed=seed,
        host=host_info(),
        versions=library_versions(),
    )


class _Clock:
    """The time a measurement may take."""

    def __init__(self, total: float, progress: Progress | None) -> None:
        self.total = total
        self._progress = progress
        self._started = time.monotonic()

    @property
    def passed(self) -> float:
        return time.monotonic() - self._started

    def until(self, share: float) -> float:
        """Return the seconds until a share of the time is over; 0 if it is."""
        return max(0.0, share * self.total - self.passed)

    def tick(self) -> None:
        if self._progress is not None:
            self._progress(round(self.passed), round(max(self.passed, self.total)))

    def finish(self) -> None:
        if self._progress is not None:
            self._progress(round(self.passed), round(self.passed))


class _Measurement:
    """The short pass and the long rounds."""

    def __init__(
        self,
        fleet: Fleet,
        clock: _Clock,
        *,
        timed: float,
        latency_limit: float | None,
        threads: bool,
        contest: bool,
    ) -> None:
        self._fleet = fleet
        self._clock = clock
        self._timed = timed  # the share of the time at whose end the long rounds are over
        self._limit = latency_limit
        self._threads = threads
        self._contest = contest
        self._batches: dict[str, tuple[int, ...]] = {}
        self._screened: dict[Setting, Served] = {}
        self.remarks = Remarks()

    def screen(
        self, tried: Sequence[Layout], single: Sequence[Layout], batch_sizes: Sequence[int]
    ) -> None:
        """Time every setting shortly, layout by layout.

        Args:
            tried: Layouts for all batch sizes.
            single: Layouts for the smallest one alone, where they are not among those.
            batch_sizes: As the user gave them.
        """
        wanted = tuple(sorted(set(batch_sizes or BATCHES)))
        plan = [(layout, len(wanted)) for layout in tried]
        plan += [(layout, 1) for layout in single if layout not in tried]
        left = sum(count for _, count in plan)
        for layout, count in plan:
            self._fleet.prepare([layout])
            self._find_batches(wanted, given=bool(batch_sizes))
            for step in range(count):
                self._screen_batch(layout, step, steps_left=left)
                left -= 1
        self._leave_out_refused()

    def time_finalists(self) -> tuple[list[Served], Noise]:
        """Time the settings in reach of the best in turns, in rounds that are common to all."""
        screened = [one for one in self._screened.values() if self._runs(one.setting.subject)]
        ranks = finalists(
            screened, latency_limit=self._limit, threads=self._threads, contest=self._contest
        )
        ready = self._fleet.prepare(list(dict.fromkeys(one.layout for one in ranks)))
        short = sorted({one.layout for one in ranks if one.layout not in ready})
        if short:
            self.remarks.add(
                f"Not timed again, as memory does not suffice for all processes at once: "
                f"{', '.join(map(str, short))} (instances × cores)."
            )
        chosen = [one for one in ranks if one.layout in ready and self._tried_again(one)]
        seconds = max(self._clock.until(self._timed), _LEAST * self._clock.total)
        chosen = self._affordable(chosen, ranks, seconds)
        turn = min(0.6, max(_SHORTEST_TURN, seconds / len(chosen) / _ROUNDS))
        rounds = round(seconds / sum(self._fleet.turn_seconds(one, turn) for one in chosen))
        rounds = min(_MOST_ROUNDS, max(_FEWEST_ROUNDS, rounds))
        schedule = Schedule(
            warmup=2, rounds=rounds, turn_seconds=turn, max_seconds=max(1.0, 1.2 * seconds)
        )
        played = play_rounds([one.key for one in chosen], self._fleet, schedule)
        kept, noise = select_rounds(played, schedule)
        return [
            Served(
                setting=one,
                stats=collect(kept, one.key, batch_size=one.batch, instances=one.layout.instances),
                final=True,
            )
            for one in chosen
        ], noise

    def _affordable(
        self, chosen: Sequence[Setting], ranks: Mapping[Setting, int], seconds: float
    ) -> list[Setting]:
        """Return the first ones for which there is time, and the best ones in any case."""
        kept: list[Setting] = []
        used = 0.0
        for one in chosen:
            used += _FEWEST_ROUNDS * self._fleet.turn_seconds(one, _SHORTEST_TURN)
            if used <= seconds or ranks[one] == 0:
                kept.append(one)
        if len(kept) < len(chosen):
            self.remarks.add(
                f"{len(chosen) - len(kept)} of {len(chosen)} settings in reach of the best were "
                "not timed again, as time does not suffice. Give more --seconds."
            )
        return kept

    def only_screened(self, finals: Sequence[Served]) -> list[Served]:
        """Return the settings of the short pass that were not timed again."""
        again = {one.setting for one in finals}
        return [one for setting, one in self._screened.items() if setting not in again]

    def _find_batches(self, wanted: tuple[int, ...], *, given: bool) -> None:
        for subject in self._fleet.subjects:
            if subject in self._batches:
                continue
            fixed = self._fleet.fixed_batch(subject)
            if fixed is None or fixed in wanted or given:
                self._batches[subject] = tuple(b for b in wanted if fixed in (None, b))
            else:
                self._batches[subject] = (fixed,)
            if fixed is not None and not self._batches[subject]:
                self._fleet.failed[subject] = BenchmarkError(
                    f"the model takes batches of {fixed} only. Use --batch_size={fixed}."
                )
            elif fixed is not None:
                self.remarks.add(f"{subject} takes batches of {fixed} only.")

    def _screen_batch(self, layout: Layout, step: int, *, steps_left: int) -> None:
        """Time one batch size of each model on a layout: the smallest, the next, and so on."""
        settings = [
            Setting(subject, layout, batches[step])
            for subject, batches in self._batches.items()
            if self._runs(subject) and step < len(batches)
        ]
        settings = [one for one in settings if self._worth(one) and self._attempt(one)]
        settings = [one for one in settings if self._runs(one.subject)]
        if not settings:
            return
        seconds = self._clock.until(self._timed / 2) / steps_left
        turn = min(0.3, max(0.03, seconds / len(settings) / _SHORT_ROUNDS))
        cost = sum(self._fleet.turn_seconds(one, turn) for one in settings)
        rounds = min(_SHORT_ROUNDS, max(1, round(seconds / cost)))
        schedule = Schedule(
            warmup=0, rounds=rounds, turn_seconds=turn, max_seconds=max(0.5, 1.5 * seconds)
        )
        played = play_rounds([one.key for one in settings], self._fleet, schedule)
        kept, _ = select_rounds(played, schedule)
        for one in settings:
            stats = collect(kept, one.key, batch_size=one.batch, instances=layout.instances)
            self._screened[one] = Served(setting=one, stats=stats, final=False)

    def _worth(self, setting: Setting) -> bool:
        """Tell whether a batch can be of use, from what a smaller one took on the same layout."""
        smaller = [
            one
            for one in self._screened.values()
            if one.setting.subject == setting.subject and one.setting.layout == setting.layout
        ]
        if not smaller:
            return not self.remarks.was_left_out(setting)
        before = max(smaller, key=lambda one: one.setting.batch)
        if self._limit is not None and before.stats.p50 > self._limit:
            self.remarks.leave_out(setting, "a smaller batch takes longer than the limit")
            return False
        expected = before.stats.p50 / 1e3 * setting.batch / before.setting.batch
        if _CALLS_IN_TURN * expected > max(2.0, _LONGEST_TURN * self._clock.total):
            self.remarks.leave_out(setting, f"a call would take about {expected:.1f} s")
            return False
        return True

    def _attempt(self, setting: Setting) -> bool:
        try:
            answer = self._fleet.attempt(setting)
        except LpotError as error:
            # The process is gone. The other models get a new one.
            self._fleet.drop(setting.subject, error)
            if not self._fleet.subjects:
                raise
            self._fleet.prepare([setting.layout])
            return False
        if isinstance(answer, str):
            self.remarks.leave_out(setting, answer)
            return False
        return True

    def _tried_again(self, setting: Setting) -> bool:
        """Run a finalist once in workers that may be new."""
        return self._runs(setting.subject) and not isinstance(self._fleet.attempt(setting), str)

    def _runs(self, subject: str) -> bool:
        return subject in self._fleet.subjects

    def _leave_out_refused(self) -> None:
        """Count a model as failed that refused every batch."""
        known = {one.subject for one in self._screened}
        for subject in set(self._fleet.subjects) - known:
            why = self.remarks.reason(subject) or "no batch of the sizes asked for could be run."
            self._fleet.failed[subject] = BenchmarkError(why)
        if not self._fleet.subjects:
            raise next(iter(self._fleet.failed.values()))


def _check(batch_sizes: Sequence[int], seconds: float | None, latency_limit: float | None) -> None:
    if any(batch < 1 for batch in batch_sizes):
        raise BenchmarkError(f"the batch size must be at least 1; {min(batch_sizes)} was given.")
    for name, value in (("--seconds", seconds), ("--latency_limit", latency_limit)):
        if value is not None and value <= 0:
            raise BenchmarkError(f"{name} must be above 0; {value:g} was given.")
