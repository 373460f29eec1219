"""One worker process for each column, told by this process whose turn it is."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.benchmark.interleaved import Schedule
from lpot_examples.benchmark.pool import Worker
from lpot_examples.errors import LpotError
from peers.store import environment
from peers.worker import Job

WARM_UP_SECONDS = 0.7


class PeerWorker(Worker):
    """A `Worker` of another interpreter, which runs `peers.worker`.

    Args:
        interpreter: Python of the environment that has the runtime.
        job: What it shall load.
        timeout: Seconds within which it must answer.
    """

    def __init__(self, interpreter: Path, job: Job, *, timeout: float) -> None:
        self._timeout = timeout
        self._buffer = b""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in kill)
        self._process = subprocess.Popen(
            [str(interpreter), "-P", "-m", "peers.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment(threads=len(job.cores)),
            start_new_session=True,
        )
        self.cpu = 0.0
        self._send_line(job.to_json())

    def ask(self, command: dict[str, Any], doing: str) -> dict[str, Any]:
        """Give a command and wait for its answer.

        Raises:
            LpotError: If it fails or does not answer in time.
        """
        self.send(command)
        return self.answer(doing)

    def answer(self, doing: str) -> dict[str, Any]:
        """Wait for an answer; see `ask`."""
        reply = self.receive(doing)
        self.cpu = reply["cpu"]
        return reply


class ColumnFailed(LpotError):
    """A column's worker failed; the others can go on."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


class Players:
    """The workers of a network as an `interleaved.Player`; one of them runs at a time.

    Args:
        workers: By column.
        cores: CPUs that all are pinned to.
    """

    def __init__(self, workers: Mapping[str, PeerWorker], cores: Sequence[int]) -> None:
        self._workers = workers
        self.cores = cores

    def warm_up(self, name: str, calls: int) -> None:
        """Run a column's model untimed for a while; ``calls`` is not used."""
        del calls
        self._ask(name, {"do": "warm_up", "seconds": WARM_UP_SECONDS})

    def play(self, name: str, schedule: Schedule) -> NDArray[np.float64]:
        """Run one turn of a column and return its timings, milliseconds [calls]."""
        turn = {"do": "turn", "seconds": schedule.turn_seconds, "calls": schedule.turn_calls}
        reply = self._ask(name, turn)
        return np.asarray(reply["ns"], np.float64) / 1e6

    def cpu_seconds(self) -> float:
        """Return the CPU time of the workers and of this process."""
        return sum(worker.cpu for worker in self._workers.values()) + time.process_time()

    def _ask(self, name: str, command: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._workers[name].ask(command, f"running a {command['do']}")
        except LpotError as error:
            raise ColumnFailed(name, first_line(error)) from error


def first_line(error: BaseException) -> str:
    """Return what an error says, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0]
