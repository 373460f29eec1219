"""Evaluation in worker processes: one that crashes or hangs is one failed evaluation, no more."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from lpot_examples import child
from lpot_examples.errors import EvaluationError, LpotError
from lpot_examples.evaluation.evaluator import Progress
from lpot_examples.evaluation.racing import Monitor
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.execution.base import Executor, Job, Pending
from lpot_examples.execution.messages import Done, Failed, Progressed, Ready, Setup, receive, send

# Seconds that a worker may take to start even if an evaluation may not take so long.
_START = 300.0

# Seconds between two looks at the clock and at whether workers live.
_TICK = 0.2

_HINTS = {
    "SIGKILL": "usually because memory ran out: use fewer --workers or a smaller --batch_size",
    "SIGFPE": "an arithmetic error in native code, such as a division by zero",
    "SIGABRT": "native code met something that it takes for impossible",
    "SIGSEGV": "native code read or wrote where it must not",
    "SIGBUS": "native code read or wrote where it must not, or a file that it had mapped shrank",
    "SIGILL": "native code used an instruction that this CPU lacks",
}


class WorkerProcesses(Executor):
    """Evaluates models in processes that are started when needed, and again after they died.

    Args:
        build: Function without arguments that returns an ``eval_func``; called once in each worker.
            It is pickled (lambdas and functions defined in a script are fine).
        cores: Ids of the CPUs of each worker; as many workers as there are entries.
        timeout: Seconds that an evaluation may take; 0 for no limit.

    Workers are killed with all that they started when this is closed, and on Linux by the kernel
    when the thread that submitted their jobs ends. All calls must come from that one thread.

    Raises:
        LpotError: If ``build`` cannot be pickled.
    """

    elsewhere = True

    def __init__(
        self,
        build: Callable[[], Callable[..., Any]],
        *,
        cores: Sequence[tuple[int, ...]],
        timeout: float = 0.0,
    ) -> None:
        import cloudpickle

        try:
            pickled = cloudpickle.dumps(build)
        except Exception as error:  # what cannot be pickled raises whatever it likes
            raise LpotError(
                f"eval_func cannot be sent to worker processes: {error}. Let it open files, "
                "sessions and locks when it is called, or use no workers."
            ) from error
        self.slots = len(cores)
        self._setup = Setup(search_path=list(sys.path), build=pickled)
        self._timeout = timeout
        self._workers = [_Worker(own) for own in cores]
        self._waiting: deque[_Submitted] = deque()

    def submit(self, job: Job) -> Pending:
        """Accept a job; it begins at once if a worker is free."""
        submitted = _Submitted(job, self)
        self._waiting.append(submitted)
        self._assign()
        return submitted

    def close(self) -> None:
        """Kill all workers and what they started."""
        self._waiting.clear()
        for worker in self._workers:
            worker.kill()

    def advance(self) -> None:
        """Take what workers have to say, for a moment at most; end those that are late."""
        busy = [worker for worker in self._workers if worker.job is not None]
        ready = wait([one.connection for one in busy if one.connection], timeout=_TICK)
        for worker in busy:
            if worker.connection in ready:
                self._listen(worker)
        for worker in busy:
            if worker.job is not None and worker.ended():
                self._lose(worker)
            elif worker.job is not None and worker.late():
                self._end_late(worker)
        self._assign()

    def forget(self, submitted: _Submitted) -> None:
        """Give up a job, with the worker that has it: it cannot be interrupted otherwise."""
        with contextlib.suppress(ValueError):
            self._waiting.remove(submitted)
        for worker in self._workers:
            if worker.job is submitted:
                worker.kill()

    def _assign(self) -> None:
        for worker in self._workers:
            if self._waiting and worker.job is None:
                worker.job = self._waiting.popleft()
                if worker.alive:
                    self._hand_over(worker)
                else:
                    worker.start(self._setup, max(self._timeout, _START) if self._timeout else 0.0)

    def _hand_over(self, worker: _Worker) -> None:
        assert worker.job is not None
        try:
            worker.send(worker.job.job, self._timeout)
        except OSError:  # it died while it had nothing to do: another one takes the job
            job = worker.job
            worker.kill()
            self._waiting.appendleft(job)

    def _listen(self, worker: _Worker) -> None:
        submitted = worker.job
        if submitted is None or worker.connection is None:
            return
        try:
            message = receive(worker.connection)
        except (EOFError, OSError):
            self._lose(worker)
            return
        if isinstance(message, Ready):
            worker.ready = True
            self._hand_over(worker)
        elif isinstance(message, Progressed):
            submitted.progressed = (message.done, message.total)
        elif isinstance(message, Done):
            worker.job = None
            submitted.end(message.result, message.monitor)
        elif isinstance(message, Failed):
            worker.job = None
            submitted.end(message.error, message.monitor)
            if not worker.ready:
                worker.kill()

    def _lose(self, worker: _Worker) -> None:
        """Tell a worker's death as the failure of its job, or of all if it did not even start."""
        submitted, ready = worker.job, worker.ready
        assert submitted is not None
        how = child.how_it_ended(worker.wait())
        hint = _HINTS.get(how.rpartition(" ")[2], "")
        why = f"{how} ({hint})" if hint else how
        tail = worker.last_messages()
        worker.kill()
        if ready:
            submitted.end(EvaluationError(f"the worker process that evaluated it {why}.{tail}"))
        else:
            submitted.end(LpotError(f"a worker process {why} while it was starting.{tail}"))

    def _end_late(self, worker: _Worker) -> None:
        submitted, ready = worker.job, worker.ready
        assert submitted is not None
        tail = worker.last_messages()
        worker.kill()
        if ready:
            submitted.end(
                EvaluationError(
                    f"the evaluation did not end within {self._timeout:g} s (--trial_timeout); its "
                    f"worker process was killed.{tail}"
                )
            )
        else:
            limit = max(self._timeout, _START)
            submitted.end(
                LpotError(f"a worker process was not ready within {limit:g} s; killed.{tail}")
            )


class _Submitted(Pending):
    """A job on its way through the workers."""

    def __init__(self, job: Job, executor: WorkerProcesses) -> None:
        self.job = job
        self.progressed: tuple[int, int] | None = None
        self._executor = executor
        self._outcome: EvaluationResult | Exception | None = None

    def result(self, progress: Progress | None = None) -> EvaluationResult:
        told = None
        while self._outcome is None:
            self._executor.advance()
            if progress is not None and self.progressed not in (None, told):
                told = self.progressed
                assert told is not None
                progress(*told)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def cancel(self) -> None:
        if self._outcome is None:
            self._executor.forget(self)
            self.end(LpotError(f"the evaluation of {self.job.name} was given up."))

    def end(self, outcome: EvaluationResult | Exception, monitor: Monitor | None = None) -> None:
        """Keep how it ended, and bring the job's own monitor into the state of its copy."""
        if self.job.monitor is not None and monitor is not None:
            vars(self.job.monitor).update(vars(monitor))
        self._outcome = outcome


class _Worker:
    """One process, or the place of one; see `WorkerProcesses`."""

    def __init__(self, cores: tuple[int, ...]) -> None:
        self._cores = cores
        self._process: Any = None
        self._deadline = 0.0
        self._stderr: Any = None
        self.connection: Connection | None = None
        self.job: _Submitted | None = None
        self.ready = False

    @property
    def alive(self) -> bool:
        return self._process is not None

    def start(self, setup: Setup, timeout: float) -> None:
        """Start the process and tell it what it is for."""
        self._deadline = _deadline(timeout)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in kill)
        self.connection, other = Pipe()
        with other:
            self._process = child.start(
                "lpot_examples.execution.worker",
                str(other.fileno()),
                str(os.getpid()),
                ",".join(map(str, self._cores)),
                stderr=self._stderr,
                environment={"OMP_NUM_THREADS": str(len(self._cores))} if self._cores else {},
                stdin=subprocess.DEVNULL,
                stdout=self._stderr,
                pass_fds=(other.fileno(),),
            )
        with contextlib.suppress(OSError):  # that it is dead already is found out soon enough
            send(self.connection, setup)

    def send(self, job: Job, timeout: float) -> None:
        """Give it a job.

        Raises:
            OSError: If it is dead.
        """
        assert self.connection is not None
        self._deadline = _deadline(timeout)
        send(self.connection, job)

    def late(self) -> bool:
        return 0 < self._deadline <= time.monotonic()

    def ended(self) -> bool:
        """Tell whether the process is gone and everything it said was heard."""
        assert self.connection is not None
        return self._process.poll() is not None and not self.connection.poll()

    def wait(self) -> int:
        """Return its exit code; a process that closed its connection is about to end."""
        try:
            return int(self._process.wait(timeout=5))
        except subprocess.TimeoutExpired:
            self._process.kill()
            return int(self._process.wait())

    def last_messages(self) -> str:
        return child.last_messages(self._stderr)

    def kill(self) -> None:
        """End the process and what it started, and forget its job; safe at any time."""
        process, self._process = self._process, None
        self.job, self.ready = None, False
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads a session, hence a group
        process.wait()
        if self.connection is not None:
            self.connection.close()
        self._stderr.close()


def _deadline(timeout: float) -> float:
    return time.monotonic() + timeout if timeout > 0 else 0.0
