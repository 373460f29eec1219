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
from collections.abc import Iterator, Mapping, Sequence
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
        jobs: One for each instance and runtime; those of one instance share its cores.
        timeout: Seconds within which each command must be answered.

    Raises:
        LpotError: If a worker cannot load its models, dies, or does not answer in time. Where jobs
            say ``skip_failing``, only if none of the models can be run.
    """
    with contextlib.ExitStack() as stack:
        workers = []
        for job in jobs:
            worker = Worker(job, timeout=timeout)
            stack.callback(worker.kill)
            workers.append(worker)
        failed: dict[str, LpotError] = {}
        for worker in workers:
            failed.update(worker.failures())
        useful = [worker for worker in workers if set(worker.job.models) - set(failed)]
        if not useful:
            raise next(iter(failed.values()))
        for worker in set(workers) - set(useful):
            worker.kill()
        yield WorkerPool(useful, failed=failed)


class WorkerPool:
    """Runs every turn in all workers that hold the model, at once; see `interleaved.Player`.

    Args:
        workers: All workers, ready.
        failed: What is wrong with the models that cannot be run, by name.
    """

    def __init__(
        self, workers: Sequence[Worker], *, failed: Mapping[str, LpotError] | None = None
    ) -> None:
        self._workers = workers
        self.failed = dict(failed or {})

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
        """Return the CPU time of all workers and of this process, which drives them.

        They are asked: threads of a runtime may still spin after the turn was answered.
        """
        replies = _ask(self._workers, {"do": "cpu"}, doing="telling its CPU time")
        return sum(float(reply["cpu"]) for reply in replies) + time.process_time()

    def _all(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        name = command["model"]
        holders = [worker for worker in self._workers if name in worker.job.models]
        return _ask(holders, command, doing=f"running '{name}'")


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

    def send(self, command: Mapping[str, Any]) -> None:
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

    def failures(self) -> dict[str, LpotError]:
        """Wait until the models are loaded; return what is wrong with those that cannot be run.

        Raises:
            LpotError: If the process fails, or a model does, and the job is not to leave it out.
        """
        doing = "loading the models"
        try:
            answer = self.receive(doing)
        except LpotError as error:
            if not self.job.skip_failing:
                raise
            return dict.fromkeys(self.job.models, error)
        return {name: _as_error(one, doing) for name, one in answer["failed"].items()}

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


def _ask(workers: Sequence[Worker], command: Mapping[str, Any], *, doing: str) -> list[Any]:
    """Give a command to several workers at once and return their answers."""
    for worker in workers:
        worker.send(command)
    return [worker.receive(doing) for worker in workers]


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
