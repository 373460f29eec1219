"""Worker processes for every layout that is measured, kept alive so that layouts can take turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.benchmark.interleaved import Schedule
from lpot_examples.benchmark.pool import Worker
from lpot_examples.benchmark.runner import share_cores
from lpot_examples.benchmark.serving.arrivals import deal
from lpot_examples.benchmark.serving.layouts import Layout, Setting
from lpot_examples.benchmark.serving.loops import clock
from lpot_examples.benchmark.worker import Job
from lpot_examples.errors import LpotError
from lpot_examples.host import host_info

_Home = tuple[tuple[int, ...], str]

# A command reaches all workers within this time, so that they begin together.
_LEAD = 0.01
# A stretch holds so many calls at least.
_CALLS = 2.5
# The share of the memory that workers may take before those not in use are ended.
_MEMORY = 0.5


class Fleet:
    """One worker for each set of cores and runtime; see `interleaved.Player`.

    Workers of several layouts may share cores, but only one layout runs at a time.

    Args:
        job: What workers load; cores and threads are filled in. Its batch size is None.
        timeout: Seconds within which each command must be answered.
        tick: Called after every turn.
    """

    def __init__(self, job: Job, *, timeout: float, tick: Callable[[], None]) -> None:
        self._job = job
        self._timeout = timeout
        self._tick = tick
        self._workers: dict[_Home, Worker] = {}
        self._peaks: dict[_Home, int] = {}
        self._memory = host_info().memory_bytes
        self._settings: dict[str, Setting] = {}
        self._seconds: dict[Setting, float] = {}
        self.failed: dict[str, LpotError] = {}

    def __enter__(self) -> Fleet:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all workers."""
        for home in list(self._workers):
            self._end(home)

    @property
    def cores(self) -> Sequence[int]:
        """Ids of the CPUs in use, by any layout."""
        return sorted({core for cores, _ in self._workers for core in cores})

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of the models that can be run, as far as is known."""
        return tuple(name for name in self._job.models if name not in self.failed)

    def prepare(self, layouts: Sequence[Layout]) -> list[Layout]:
        """Start the workers that are missing; return the layouts that memory suffices for.

        Workers of other layouts are ended where memory is short. The first layout is always
        prepared.
        """
        ready: list[Layout] = []
        needed: set[_Home] = set()
        for layout in layouts:
            homes = self._homes(layout)
            if ready and self._estimate(needed | set(homes)) > _MEMORY * self._memory > 0:
                continue
            needed |= set(homes)
            if self._estimate(needed | set(self._workers)) > _MEMORY * self._memory > 0:
                for home in set(self._workers) - needed:
                    self._end(home)
            self._start({home: job for home, job in homes.items() if home not in self._workers})
            ready.append(layout)
        return ready

    def fixed_batch(self, subject: str) -> int | None:
        """Return the batch size that is built into a model, if there is one."""
        worker = next(w for w in self._workers.values() if subject in w.job.models)
        worker.send({"do": "fixed_batch", "model": subject})
        batch: int | None = worker.receive(f"looking at '{subject}'")["batch"]
        return batch

    def attempt(self, setting: Setting) -> str | float:
        """Run a setting for the first time, in all instances at once.

        Returns:
            Seconds of a call; or what is wrong, where the model refuses such a batch.
        """
        command = {"do": "try", "model": setting.subject, "batch": setting.batch}
        replies = self._ask(setting, [command] * setting.layout.instances)
        self._tick()
        refused = next((reply["refused"] for reply in replies if "refused" in reply), None)
        if refused is not None:
            return str(refused)
        self._settings[setting.key] = setting
        self._seconds[setting] = max(float(reply["seconds"]) for reply in replies)
        return self._seconds[setting]

    def turn_seconds(self, setting: Setting, wanted: float) -> float:
        """Return how long a turn takes at least, of which so much was wanted; after `attempt`."""
        return max(wanted, _CALLS * self._seconds[setting]) + self._lead(setting)

    def warm_up(self, name: str, calls: int) -> None:
        """Run a setting without timing it, for so many calls about."""
        if calls:
            self._saturate(self._settings[name], calls * self._seconds[self._settings[name]])

    def play(self, name: str, schedule: Schedule) -> NDArray[np.float64]:
        """Keep all instances of a setting busy for a turn; return milliseconds [calls]."""
        samples = self._saturate(self._settings[name], schedule.turn_seconds)
        self._tick()
        return samples

    def serve(self, setting: Setting, arrivals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Serve requests as they arrive.

        Args:
            setting: What serves.
            arrivals: Seconds from the beginning, ascending, float64 [requests].

        Returns:
            Seconds from a request's arrival to its completion, float64 [requests].
        """
        instances = setting.layout.instances
        begin = self._begin(setting)
        commands = [
            {
                "do": "serve",
                "model": setting.subject,
                "batch": setting.batch,
                "begin": begin,
                "arrivals": own.tolist(),
            }
            for own in deal(arrivals, instances)
        ]
        latencies = np.empty(len(arrivals))
        for first, reply in enumerate(self._ask(setting, commands)):
            latencies[first::instances] = reply["latencies"]
        self._tick()
        return latencies

    def cpu_seconds(self) -> float:
        """Return the CPU time of all workers and of this process, which drives them."""
        for worker in self._workers.values():
            worker.send({"do": "cpu"})
        used = 0.0
        for home, worker in self._workers.items():
            reply = worker.receive("telling its CPU time")
            self._peaks[home] = reply["peak"]
            used += reply["cpu"]
        return used + time.process_time()

    def drop(self, subject: str, error: LpotError) -> None:
        """Leave a model out from now on; workers that hold it are ended, as one may have died."""
        self.failed[subject] = error
        for home in [home for home, w in self._workers.items() if subject in w.job.models]:
            self._end(home)

    def _saturate(self, setting: Setting, seconds: float) -> NDArray[np.float64]:
        command = {
            "do": "saturate",
            "model": setting.subject,
            "batch": setting.batch,
            "begin": self._begin(setting),
            "seconds": max(seconds, _CALLS * self._seconds[setting]),
        }
        replies = self._ask(setting, [command] * setting.layout.instances)
        return np.concatenate([reply["ns"] for reply in replies]) / 1e6

    def _begin(self, setting: Setting) -> float:
        """Return a time by which every worker has its command and has made an untimed call."""
        return clock() + self._lead(setting)

    def _lead(self, setting: Setting) -> float:
        return _LEAD + 1.5 * self._seconds[setting]

    def _ask(self, setting: Setting, commands: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Give one command to each instance and return the answers."""
        workers = [
            worker
            for home in self._homes(setting.layout)
            if setting.subject in (worker := self._workers[home]).job.models
        ]
        for worker, command in zip(workers, commands, strict=True):
            worker.send(command)
        return [worker.receive(f"running '{setting.key}'") for worker in workers]

    def _homes(self, layout: Layout) -> dict[_Home, Job]:
        """Return the workers that a layout needs, instance by instance."""
        job = replace(
            self._job,
            models={name: self._job.models[name] for name in self.subjects},
            threads=layout.cores,
            skip_failing=True,
        )
        found: dict[_Home, Job] = {}
        for cores in share_cores(layout.instances, layout.cores):
            for part in replace(job, cores=cores).by_runtime():
                runtime = next(iter(part.runtimes.values()), "")
                found[cores, runtime] = part
        return found

    def _start(self, jobs: Mapping[_Home, Job]) -> None:
        for home, job in jobs.items():
            self._workers[home] = Worker(job, timeout=self._timeout)
        for home in jobs:
            for name, error in self._workers[home].failures().items():
                self.failed.setdefault(name, error)
        for home in jobs:
            if not set(self._workers[home].job.models) - set(self.failed):
                self._end(home)
        if not self.subjects:
            raise next(iter(self.failed.values()))
        self.cpu_seconds()
        self._tick()

    def _estimate(self, homes: set[_Home]) -> float:
        """Return the bytes that workers take; of one that is not there, what its kind took."""
        total = 0.0
        for home in homes:
            alike = [peak for (_, runtime), peak in self._peaks.items() if runtime == home[1]]
            total += self._peaks.get(home, max(alike, default=0))
        return total

    def _end(self, home: _Home) -> None:
        self._workers.pop(home).kill()
