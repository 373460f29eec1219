"""Whole runs with worker processes: the same results, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.events import Listener
from lpot_examples.host import available_cores
from lpot_examples.testing.fake_backend import FakeNetwork, tune_fake

ONE_GUILTY = FakeNetwork(harm={f"g{i}": 0.02 if i == 7 else 1e-4 for i in range(12)})
HOPELESS = FakeNetwork(harm={"a": 0.3, "b": 0.3, "c": 0.3})
TIMED = {"tuning.exit_policy.timeout": 600, "tuning.exit_policy.max_trials": 8}


def sample_by_sample(model, monitor=None):
    """Right or wrong on 2,000 samples, as often as the network's score says; can be raced."""
    total = 2000
    ranks = np.random.default_rng(1).permutation(total)
    right = (ranks < model.score * total).astype(float)
    order = np.arange(total) if monitor is None else monitor.order(total)
    for start in range(0, total, 100):
        rows = order[start : start + 100]
        if monitor is not None and monitor(right[rows], rows):
            done = start + 100
            return EvaluationResult(score=right[order[:done]].mean(), samples=done)
    return EvaluationResult(score=right.mean(), samples=total, per_sample=right)


def told(result):
    """What a run found out, without what is measured by the clock."""
    report = result.report
    history = [{**trial, "seconds": 0} for trial in report["search"]["history"]]
    search = {k: v for k, v in report["search"].items() if k not in ("seconds", "history")}
    return history, search, report["accuracy"], report["config"], result.path.read_bytes()


@pytest.mark.parametrize(
    ("network", "strategy", "count"),
    [
        (ONE_GUILTY, "bisection", 1),
        (ONE_GUILTY, "random", 2),
        (HOPELESS, "exhaustive", 2),
    ],
)
@pytest.mark.parametrize("going_on", [False, True])
def test_the_same_with_and_without_workers(tmp_path, network, strategy, count, going_on):
    if count > len(available_cores()):
        pytest.skip("needs two cores")
    spec = {"tuning.strategy.name": strategy, "tuning.exit_policy.max_trials": 8}
    spec |= TIMED if going_on else {}
    here, there = (
        tune_fake(network, tmp_path / name, spec=spec, eval_func=sample_by_sample, workers=number)
        for name, number in (("here", 0), ("there", count))
    )
    assert told(here) == told(there)
    assert any(trial["stopped_early"] for trial in told(here)[0])
    left = [path.name for path in (tmp_path / "there" / "candidates").iterdir()]
    assert len(left) == 1  # those begun ahead and not asked for are gone


def test_a_trial_that_crashes_the_runtime_is_lost_and_the_search_goes_on(tmp_path):
    class Heard(Listener):
        trials = []

        def trial(self, trial, *, again):
            self.trials.append(trial)

    def score(model):
        if model.config and not model.config["fp32"]:
            os.abort()
        return model.score

    heard = Heard()
    result = tune_fake(ONE_GUILTY, tmp_path, eval_func=score, listener=heard, workers=1)
    assert result.met
    assert "was ended by SIGABRT" in heard.trials[0].error
    assert "g7" in result.report["config"]["fp32"]


RUN = """
import os, sys, time
from pathlib import Path
from lpot_examples.testing.fake_backend import FakeNetwork, tune_fake
from lpot_examples.tuner import Interrupted

FOLDER, HANGS_AT = Path(sys.argv[1]), int(sys.argv[2])

def score(model):
    if model.config and len(model.config["fp32"]) == HANGS_AT:
        (FOLDER / "hanging").write_text(str(os.getpid()))
        time.sleep(600)
    return model.score

network = FakeNetwork(harm={f"g{i}": 0.001 * (i + 1) for i in range(30)})
try:
    result = tune_fake(network, FOLDER, eval_func=score, workers=1)
except Interrupted as error:
    sys.exit(error.exit_code)
print(sorted(result.report["config"]["fp32"]), result.met)
"""


def start(folder, hangs_at):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    arguments = [sys.executable, "-c", textwrap.dedent(RUN), str(folder), str(hangs_at)]
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, env=environment, stdout=pipe, stderr=pipe, text=True)


def running(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_driver_and_the_run_continues(tmp_path, number):
    process = start(tmp_path, 0)
    hanging = tmp_path / "hanging"
    deadline = time.monotonic() + 60
    while not (hanging.exists() and hanging.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    worker = int(hanging.read_text())
    assert running(worker)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -number), errors
    deadline = time.monotonic() + 20
    while running(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(worker)
    found, errors = start(tmp_path, -1).communicate(timeout=120)
    wanted, _ = start(tmp_path / "whole", -1).communicate(timeout=120)
    assert found == wanted != "", errors
    events = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert sum(event["event"] == "baseline" for event in events) == 1
    assert not [path for path in tmp_path.rglob("*.tmp")]
