"""Worker processes on disjoint cores, told by this process to run each turn at the same time."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples import child, errors
from lpot_examples.benchmark.interleaved import Schedule
from lpot_examples.benchmark.worker import Job
from lpot_examples.errors import LpotError


class BenchmarkError(LpotError):
    """A benchmark cannot be run as asked, or its worker process failed."""


@contextlib.contextmanager
def worker_pool(jobs: Sequence[Job], *, timeout: float) -> Iterator[WorkerPool]:
    """Start one worker for each job and wait until all have loaded their models.

    The workers are killed when the block is left, however it is left.

    Args:
        jobs: One for each instance, with the same models.
        timeout: Seconds within which each command must be answered.

    Raises:
        LpotError: If a worker cannot load its models, dies, or does not answer in time.
    """
    with contextlib.ExitStack() as stack:
        workers = []
        for job in jobs:
            worker = Worker(job, timeout=timeout)
            stack.callback(worker.kill)
            workers.append(worker)
        for worker in workers:
            worker.receive("loading the models")
        yield WorkerPool(workers)


class WorkerPool:
    """Runs every turn in all workers at once; see `interleaved.Player`."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._cpu = [0.0] * len(workers)

    @property
    def cores(self) -> Sequence[int]:
        """Ids of the CPUs of all workers."""
        return sorted({core for worker in self._workers for core in worker.job.cores})

    def warm_up(self, name: str, calls: int) -> None:
        """Call a model in every worker, without timing it."""
        self._all({"do": "warm_up", "model": name, "calls": calls})

    def play(self, name: str, schedule: Schedule) -> NDArray[np.float64]:
        """Run one turn in every worker; return the pooled milliseconds [calls]."""
        replies = self._all(
            {
                "do": "turn",
                "model": name,
                "seconds": schedule.turn_seconds,
                "calls": schedule.turn_calls,
            }
        )
        return np.concatenate([reply["ns"] for reply in replies]) / 1e6

    def cpu_seconds(self) -> float:
        """Return the CPU time of the workers and of this process, which drives them."""
        return sum(self._cpu) + time.process_time()

    def _all(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        for worker in self._workers:
            worker.send(command)
        replies = [worker.receive(f"running '{command['model']}'") for worker in self._workers]
        self._cpu = [reply["cpu"] for reply in replies]
        return replies


class Worker:
    """One worker process and its pipes.

    Args:
        job: What it shall load.
        timeout: Seconds within which it must answer.
    """

    def __init__(self, job: Job, *, timeout: float) -> None:
        self.job = job
        self._timeout = timeout
        self._buffer = b""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in kill)
        self._process = _start(self._stderr, threads=job.threads)
        self._send_line(job.to_json())

    def send(self, command: dict[str, Any]) -> None:
        """Give a command; a worker that is gone is reported by the next `receive`."""
        self._send_line(json.dumps(command))

    def receive(self, doing: str) -> dict[str, Any]:
        """Return the next answer.

        Args:
            doing: What the worker is at, for messages.

        Raises:
            LpotError: If the answer is a failure, or there is none.
        """
        deadline = time.monotonic() + self._timeout
        while b"\n" not in self._buffer:
            ready = select.select([self._stdout], [], [], max(0.0, deadline - time.monotonic()))[0]
            if not ready:
                raise BenchmarkError(
                    f"a benchmark process did not answer within {self._timeout:.0f} s while "
                    f"{doing}. Use a smaller batch or fewer iterations, or see whether the "
                    f"machine is overloaded.{self._tail()}"
                )
            chunk = os.read(self._stdout, 1 << 16)
            if not chunk:
                raise self._death(doing)
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise _as_error(answer, doing)
        return answer

    def kill(self) -> None:
        """End the process and release its pipes; safe to call at any time."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    @property
    def _stdout(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def _send_line(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _death(self, doing: str) -> BenchmarkError:
        code = self._process.wait()
        how = child.how_it_ended(code)
        if code == -signal.SIGKILL:
            how += ", usually because memory ran out; use a smaller batch or fewer instances"
        return BenchmarkError(f"a benchmark process {how} while {doing}.{self._tail()}")

    def _tail(self) -> str:
        return child.last_messages(self._stderr)


def _start(stderr: IO[bytes], *, threads: int) -> subprocess.Popen[bytes]:
    return child.start(
        "lpot_examples.benchmark.worker",
        stderr=stderr,
        environment={"OMP_NUM_THREADS": str(threads)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _as_error(answer: dict[str, Any], doing: str) -> LpotError:
    kind = getattr(errors, answer["error"], None)
    if isinstance(kind, type) and issubclass(kind, LpotError):
        return kind(answer["message"])
    return BenchmarkError(f"{doing} failed with {answer['error']}: {answer['message']}")
