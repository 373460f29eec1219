"""Worker processes: what crashes, hangs or is left behind in them, and what it does to the rest."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lpot_examples.errors import DataError, EvaluationError, LpotError
from lpot_examples.evaluation.evaluator import Evaluator
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.execution.base import Job
from lpot_examples.execution.choice import check_options, make_executor
from lpot_examples.execution.local import LocalExecutor
from lpot_examples.execution.processes import WorkerProcesses
from lpot_examples.host import available_cores
from lpot_examples.testing.fake_backend import FakeModel, read_fake

CORE = available_cores()[0]


def workers(score, *, count=1, timeout=0.0):
    return WorkerProcesses(lambda: score, cores=[(CORE,)] * count, timeout=timeout)


@pytest.fixture
def job(tmp_path):
    """Makes jobs of models; ``config`` tells the evaluation what to do."""

    def make(score=0.5, monitor=None, **config):
        path = tmp_path / f"{score}{sorted(config)}.fake"
        FakeModel(score, 0.0, config).save(path)
        return Job(name="a model", open=partial(read_fake, path), monitor=monitor)

    return make


def gone(pid):
    """Whether a process ends within a while, and is no zombie of ours."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z" and os.getppid() != os.getpid():
            # Orphans are reaped by whoever adopts them; our own children would stay.
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            if parent != os.getpid():
                return True
        time.sleep(0.02)
    return False


def test_results_progress_and_cores(job):
    def score(model, progress):
        for done in range(1, 4):
            time.sleep(0.15)
            progress(done, 3)
        print("said in the worker")
        pinned = os.sched_getaffinity(0)
        return EvaluationResult(score=model.score, samples=3, details={"cores": pinned})

    told = []
    with workers(score) as executor:
        result = executor.submit(job(0.25)).result(lambda *at: told.append(at))
    assert result.score == 0.25
    assert result.details["cores"] == {CORE}
    assert told[-1] == (3, 3)


def test_closures_come_and_go(job):
    offset = 0.125

    def score(model):
        weights = np.arange(4.0)
        return EvaluationResult(
            score=model.score + offset, samples=4, resample=lambda rows: float(weights[rows].sum())
        )

    with workers(score) as executor:
        result = executor.submit(job(0.5)).result()
    assert result.score == 0.625
    assert result.resample(np.asarray([1, 3])) == 4.0


@dataclass
class Seen:
    """A monitor that remembers."""

    batches: list = field(default_factory=list)

    def order(self, samples):
        return np.arange(samples)

    def __call__(self, scores, indices):
        self.batches.append(list(indices))
        return len(self.batches) == 2


@pytest.mark.parametrize("fails", [False, True])
def test_a_monitor_is_in_the_state_the_evaluation_left_it_in(job, fails):
    def score(model, monitor):
        for start in range(0, 9, 3):
            if monitor([0.0] * 3, range(start, start + 3)):
                break
        return 1 / 0 if fails else model.score

    here, there = Seen(), Seen()
    for executor, monitor in ((LocalExecutor(Evaluator(score)), here), (workers(score), there)):
        with executor:
            pending = executor.submit(job(monitor=monitor))
            if fails:
                with pytest.raises(EvaluationError, match="ZeroDivisionError"):
                    pending.result()
            else:
                assert pending.result().score == 0.5
    assert here == there == Seen([[0, 1, 2], [3, 4, 5]])


def test_a_crash_is_the_failure_of_one_job(job):
    def score(model):
        print("about to do it", file=sys.stderr)
        if "signal" in model.config:
            os.kill(os.getpid(), model.config["signal"])
        if "code" in model.config:
            os._exit(model.config["code"])
        return model.score

    hints = {"SIGSEGV": "native code", "SIGABRT": "impossible", "SIGFPE": "division by zero"}
    hints |= {"SIGKILL": "memory ran out: use fewer --workers"}
    with workers(score) as executor:
        for name, hint in hints.items():
            with pytest.raises(EvaluationError, match=f"ended by {name} .*{hint}") as crash:
                executor.submit(job(signal=int(getattr(signal, name)))).result()
            assert "Its last messages:\n  about to do it" in str(crash.value)
        with pytest.raises(EvaluationError, match=r"exited with code 3\."):
            executor.submit(job(code=3)).result()
        assert executor.submit(job(0.75)).result().score == 0.75


def test_a_hang_is_ended_and_so_is_what_it_started(job, tmp_path):
    def score(model):
        if "hang" in model.config:
            sleeping = subprocess.Popen(["sleep", "600"])
            Path(model.config["hang"]).write_text(f"{os.getpid()} {sleeping.pid}")
            time.sleep(600)
        return model.score

    with workers(score, timeout=4.0) as executor:
        with pytest.raises(EvaluationError, match=r"did not end within 4 s \(--trial_timeout\)"):
            executor.submit(job(hang=str(tmp_path / "pids"))).result()
        assert all(gone(pid) for pid in (tmp_path / "pids").read_text().split())
        assert executor.submit(job(0.75)).result().score == 0.75


def test_several_run_at_the_same_time_and_end_in_any_order(job, tmp_path):
    def score(model):
        mine, other = model.config["meet"]
        (tmp_path / mine).touch()
        while not (tmp_path / other).exists():  # neither can end without the other
            time.sleep(0.01)
        return model.score

    with workers(score, count=2) as executor:
        first = executor.submit(job(0.1, meet=["a", "b"]))
        second = executor.submit(job(0.2, meet=["b", "a"]))
        third = executor.submit(job(0.3, meet=["c", "a"]))
        assert [third.result().score, second.result().score, first.result().score] == [
            0.3,
            0.2,
            0.1,
        ]


def test_what_is_given_up_leaves_its_worker_to_others(job):
    def score(model):
        time.sleep(600 if "hang" in model.config else 0)
        return model.score

    with workers(score) as executor:
        begun, queued = executor.submit(job(hang=1)), executor.submit(job(0.1))
        queued.cancel()
        begun.cancel()
        assert executor.submit(job(0.2)).result().score == 0.2
        with pytest.raises(LpotError, match="was given up"):
            queued.result()


def test_a_worker_that_died_while_it_had_nothing_to_do(job):
    def score(model):
        # After the answer was sent.
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return os.getpid()

    with workers(score) as executor:
        first = executor.submit(job()).result().score
        time.sleep(1.0)
        assert executor.submit(job()).result().score != first


def test_errors_are_of_the_same_kind_as_here(job):
    def score(model):
        raise DataError("no such photograph; look for it.")

    with workers(score) as executor, pytest.raises(DataError, match="no such photograph"):
        executor.submit(job()).result()


def raising():
    raise DataError("no dataset; give one.")


def dying():
    print("where am I?", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGABRT)


@pytest.mark.parametrize(
    ("build", "kind", "words"),
    [
        (raising, DataError, "no dataset"),
        (dying, LpotError, r"ended by SIGABRT .* while it was starting.\n.*\n  where am I\?"),
        (lambda: 1 / 0, RuntimeError, "in a worker process:(.|\n)*ZeroDivisionError"),
    ],
)
def test_an_evaluation_that_cannot_be_built_fails_them_all(job, build, kind, words):
    with WorkerProcesses(build, cores=[(CORE,)]) as executor:
        for _ in range(2):
            with pytest.raises(kind, match=words) as caught:
                executor.submit(job()).result()
            assert not isinstance(caught.value, EvaluationError)


def test_what_cannot_be_sent_is_said(job):
    lock = threading.Lock()

    def score(model):
        with lock:
            return model.score

    with pytest.raises(LpotError, match="eval_func cannot be sent to worker processes: .*lock"):
        workers(score)

    def returns_a_lock(model):
        return EvaluationResult(score=1.0, details={"lock": threading.Lock()})

    with (
        workers(returns_a_lock) as executor,
        pytest.raises(EvaluationError, match="returned cannot be sent"),
    ):
        executor.submit(job()).result()


def test_closing_leaves_nothing(job, tmp_path):
    def score(model):
        Path(model.config["pid"]).write_text(str(os.getpid()))
        time.sleep(600)

    before = len([*Path("/proc/self/fd").iterdir()])
    executor = workers(score)
    executor.submit(job(pid=str(tmp_path / "pid")))
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        executor.advance()
    executor.close()
    executor.close()
    assert gone((tmp_path / "pid").read_text())
    assert len([*Path("/proc/self/fd").iterdir()]) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(int((tmp_path / "pid").read_text()), 0)


def test_options_that_cannot_be_followed():
    cores = len(available_cores())
    check_options(cores, 1.0)
    check_options(0, 0.0)
    with pytest.raises(LpotError, match=f"--workers must be 0 .* to {cores}"):
        check_options(cores + 1, 0.0)
    with pytest.raises(LpotError, match="--trial_timeout needs --workers=1"):
        check_options(0, 5.0)
    with pytest.raises(LpotError, match="at least 0 seconds; it is -1"):
        check_options(1, -1.0)


def test_cores_are_shared_out():
    def score(model):
        return model.score

    one = make_executor(score, Evaluator(score), workers=1)
    assert one.slots == 1
    assert isinstance(make_executor(score, Evaluator(score), workers=0), LocalExecutor)
