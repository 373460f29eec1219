"""Timing several models in turns, A B B A …, so that all meet the same machine.

A round gives every model one turn; the model that starts rotates. A turn is a short burst of
calls. Its first call is run and thrown away, because the other models have just taken the caches.
Rounds in which other processes took more than a tenth of the cores are noisy: more rounds are run
in their place, and they are left out where six quiet ones remain. Rounds are chosen by foreign
load alone, never by their latencies.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lpot_examples.benchmark.load import ForeignLoad
from lpot_examples.benchmark.stats import LatencyStats, paired_speedup
from lpot_examples.host import available_cores

Progress = Callable[[int, int], None]
"""Called with (rounds done, rounds planned)."""

# Six rounds are the fewest whose range covers the median with 95 % confidence.
_MIN_ROUNDS = 6
_MIN_CALLS = 2
# With ten the interval leaves out the extreme round on either side.
_MIN_PRECISE = 10
# Noisy rounds may be repeated until there are this many times the planned rounds.
_MOST_ROUNDS = 1.5


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and in what portions to measure.

    Attributes:
        warmup: Calls of each model before anything is timed.
        rounds: Rounds wanted, each with one turn per model.
        turn_seconds: Length of a turn; at least two calls are timed however slow the model is.
        turn_calls: Timed calls in a turn, in place of `turn_seconds`.
        max_seconds: No further round starts after this time, once there are six.
        foreign_limit: Share of the cores, 0–1, that others may use in a quiet round.
        precision: No further round starts once ten are quiet and the interval of every speed-up is
            at most this wide, as a fraction of it; None to run all rounds. When to stop depends on
            the width alone, never on which model is ahead.
    """

    warmup: int = 10
    rounds: int = 30
    turn_seconds: float = 0.15
    turn_calls: int | None = None
    max_seconds: float = 60.0
    foreign_limit: float = 0.10
    precision: float | None = None


@dataclass(frozen=True)
class Round:
    """One round: milliseconds [calls] by model, and the share of CPU taken by others."""

    samples_ms: Mapping[str, NDArray[np.float64]]
    foreign: float | None


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What other processes did during a measurement, and what was done about it.

    Attributes:
        rounds: Rounds run.
        kept: Rounds the statistics rest on.
        foreign: Median share of the cores, 0–1, used by others in the kept rounds; None if
            unknown.
        quiet: Whether every kept round was within the limit.
    """

    rounds: int
    kept: int
    foreign: float | None
    quiet: bool

    @property
    def remark(self) -> str:
        """One sentence for the reader of a result; empty when there is nothing to remark."""
        if not self.quiet and self.foreign is not None:
            return (
                f"Noisy: other processes used {self.foreign:.0%} of the measured cores, even in "
                f"the quietest {self.kept} of {self.rounds} rounds. Repeat on an idle machine."
            )
        if self.kept < self.rounds:
            dropped = self.rounds - self.kept
            return f"{dropped} of {self.rounds} rounds left out because others used the cores."
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the remark as JSON values."""
        return {**self.__dict__, "remark": self.remark}


class Player(Protocol):
    """Runs bursts: in this process, or in pinned worker processes."""

    @property
    def cores(self) -> Sequence[int]:
        """Ids of the CPUs in use."""

    def warm_up(self, name: str, calls: int) -> None:
        """Call a model without timing it."""

    def play(self, name: str, schedule: Schedule) -> NDArray[np.float64]:
        """Run one turn and return its timings, milliseconds [calls]."""

    def cpu_seconds(self) -> float:
        """Return the CPU time used by the measuring processes up to the end of the last turn."""


def measure(
    runs: Mapping[str, Callable[[], object]],
    *,
    schedule: Schedule | None = None,
    batch_size: int = 1,
    progress: Progress | None = None,
) -> dict[str, LatencyStats]:
    """Time callables in this process, interleaved.

    Args:
        runs: What to time, by name; the order is that of the first round.
        schedule: Portions and duration; by default about 9 s for two.
        batch_size: Samples in a call, for the throughput.
        progress: Told after each round.

    Returns:
        The statistics by name, with the same rounds for all.
    """
    rounds = play_rounds(list(runs), LocalPlayer(runs), schedule or Schedule(), progress=progress)
    kept, _ = select_rounds(rounds, schedule or Schedule())
    return {name: collect(kept, name, batch_size=batch_size) for name in runs}


def play_rounds(
    names: Sequence[str], player: Player, schedule: Schedule, *, progress: Progress | None = None
) -> list[Round]:
    """Warm up, then run rounds as the schedule says; return all of them, noisy ones included."""
    for name in names:
        player.warm_up(name, schedule.warmup)
    load = ForeignLoad(player.cores)
    rounds: list[Round] = []
    deadline = time.monotonic() + schedule.max_seconds
    while _wants_more(rounds, schedule, late=time.monotonic() >= deadline):
        first = len(rounds) % len(names)
        load.start(own_seconds=player.cpu_seconds())
        samples = {n: player.play(n, schedule) for n in (*names[first:], *names[:first])}
        rounds.append(Round(samples, load.share(own_seconds=player.cpu_seconds())))
        if progress is not None:
            progress(min(len(rounds), schedule.rounds), schedule.rounds)
    return rounds


def select_rounds(rounds: Sequence[Round], schedule: Schedule) -> tuple[list[Round], Noise]:
    """Leave out noisy rounds.

    The quiet rounds are kept if there are six, or all there are; otherwise the quietest third,
    and at least six.
    """
    loads = sorted(r.foreign or 0.0 for r in rounds)
    quiet = loads[min(_MIN_ROUNDS, len(loads)) - 1] <= schedule.foreign_limit
    third = min(len(loads), max(_MIN_ROUNDS, len(loads) // 3))
    limit = schedule.foreign_limit if quiet else loads[third - 1]
    kept = [r for r in rounds if (r.foreign or 0.0) <= limit]
    known = [r.foreign for r in kept if r.foreign is not None]
    return kept, Noise(
        rounds=len(rounds),
        kept=len(kept),
        foreign=statistics.median(known) if known else None,
        quiet=quiet,
    )


def collect(
    rounds: Sequence[Round], name: str, *, batch_size: int = 1, instances: int = 1
) -> LatencyStats:
    """Gather one model's timings from the rounds."""
    return LatencyStats(
        rounds_ms=tuple(r.samples_ms[name] for r in rounds),
        batch_size=batch_size,
        instances=instances,
    )


def burst(run: Callable[[], object], *, turn_seconds: float, turn_calls: int | None) -> list[int]:
    """Call once untimed, then time calls until the turn is over; garbage collection waits.

    Returns:
        The duration of each timed call in nanoseconds.
    """
    clock = time.perf_counter_ns
    durations: list[int] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        run()
        end = clock() + int(turn_seconds * 1e9)
        done = False
        while not done:
            start = clock()
            run()
            stop = clock()
            durations.append(stop - start)
            if turn_calls is None:
                done = stop >= end and len(durations) >= _MIN_CALLS
            else:
                done = len(durations) >= turn_calls
    finally:
        if collecting:
            gc.enable()
    return durations


class LocalPlayer:
    """Runs bursts of callables in this process."""

    def __init__(self, runs: Mapping[str, Callable[[], object]]) -> None:
        self._runs = runs
        self.cores: Sequence[int] = available_cores()

    def warm_up(self, name: str, calls: int) -> None:
        """Call without timing."""
        for _ in range(calls):
            self._runs[name]()

    def play(self, name: str, schedule: Schedule) -> NDArray[np.float64]:
        """Run one turn and return milliseconds [calls]."""
        gc.collect()
        durations = burst(
            self._runs[name],
            turn_seconds=schedule.turn_seconds,
            turn_calls=schedule.turn_calls,
        )
        return np.array(durations) / 1e6

    def cpu_seconds(self) -> float:
        """Return the CPU time of this process."""
        return time.process_time()


def _wants_more(rounds: Sequence[Round], schedule: Schedule, *, late: bool) -> bool:
    if len(rounds) < min(_MIN_ROUNDS, schedule.rounds):
        return True
    if late or len(rounds) >= schedule.rounds * _MOST_ROUNDS:
        return False
    quiet = [r for r in rounds if (r.foreign or 0.0) <= schedule.foreign_limit]
    if len(quiet) >= schedule.rounds:
        return False
    return schedule.precision is None or not _precise(quiet, schedule.precision)


def _precise(rounds: Sequence[Round], precision: float) -> bool:
    """Tell whether the rounds settle every speed-up over the first model."""
    if len(rounds) < _MIN_PRECISE:
        return False
    stats = {name: collect(rounds, name) for name in rounds[0].samples_ms}
    first, *others = stats.values()
    found = (paired_speedup(first, other) for other in others)
    return all(one.interval.high - one.interval.low <= precision * one.value for one in found)
