"""The run as a whole, on networks whose truth is known; no framework takes part."""

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

from lpot_examples.errors import DataError, EvaluationError, LpotError, OutputError, SpecError
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.events import Listener
from lpot_examples.report import build
from lpot_examples.testing.fake_backend import FakeBackend, FakeNetwork, tune_fake
from lpot_examples.tuner import Interrupted

EASY = FakeNetwork(harm={"a": 1e-4, "b": 1e-4, "c": 1e-4})
ONE_GUILTY = FakeNetwork(harm={f"g{i}": 0.02 if i == 7 else 1e-4 for i in range(20)})
SPREAD = FakeNetwork(harm={f"g{i}": 0.001 * (i + 1) for i in range(30)})
HOPELESS = FakeNetwork(harm={"a": 0.3, "b": 0.3, "c": 0.3})
BAR = "tuning.accuracy_criterion"


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self):
        self.notes, self.warnings, self.trials = [], [], []

    def note(self, text):
        self.notes.append(text)

    def warning(self, text):
        self.warnings.append(text)

    def trial(self, trial, *, again):
        self.trials.append((trial, again))


class Scorer:
    """An eval_func that tells the truth and counts; ``at[n]`` runs before the n-th call."""

    def __init__(self, at=None):
        self.calls, self.at = 0, at or {}

    def __call__(self, model):
        self.calls += 1
        if self.calls in self.at:
            changed = self.at[self.calls]()
            if changed is not None:
                return changed
        return model.score


def stop():
    raise KeyboardInterrupt


def events(folder):
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def leftovers(folder):
    return [path.name for path in folder.rglob("*") if path.name.endswith(".tmp")]


def strictly(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_plain_int8_that_meets_the_bar_ends_the_search(tmp_path):
    scorer = Scorer()
    result = tune_fake(EASY, tmp_path, eval_func=scorer)
    assert result.met is True
    assert scorer.calls == 2
    assert result.report["search"]["full_evaluations"] == 2
    assert {op["precision"] for op in result.report["ops"]} == {"int8"}
    assert result.path == tmp_path / "fake-int8.fake"


def test_the_guilty_group_goes_back_to_fp32(tmp_path):
    result = tune_fake(ONE_GUILTY, tmp_path)
    assert result.met
    assert result.report["config"]["fp32"] == ["g7"]
    assert [op["name"] for op in result.report["ops"] if op["precision"] == "fp32"] == ["g7"]


def test_the_shipped_file_is_the_one_that_was_evaluated(tmp_path):
    seen = []

    def score(model):
        seen.append(model)
        return model.score

    result = tune_fake(ONE_GUILTY, tmp_path, eval_func=score)
    assert result.model == seen[-1]
    assert result.model.config == result.report["config"]


def test_a_bar_that_cannot_be_met(tmp_path):
    output, heard = tmp_path / "out" / "tuned.fake", Heard()
    result = tune_fake(HOPELESS, tmp_path / "w", output=output, listener=heard)
    assert result.met is False
    assert result.path == tmp_path / "out" / "tuned.not-certified.fake"
    assert result.report_path.name == "tuned.not-certified.report.json"
    assert not output.exists()
    scores = [trial["score"] for trial in result.report["search"]["history"]]
    assert result.report["accuracy"]["int8"] == max(scores)
    assert result.report["accuracy"]["met"] is False
    assert heard.warnings == [
        "the accuracy bar is NOT met: the best model loses 0.3, 37.5 times the 0.008 that may be "
        "lost."
    ]


@pytest.mark.parametrize("bar", [{"relative": 0.0}, {"absolute": 0.0}])
def test_a_bar_of_nothing_keeps_the_most_accurate(tmp_path, bar):
    network = FakeNetwork(harm={f"g{i}": 0.01 * (i + 1) for i in range(6)})
    result = tune_fake(network, tmp_path, spec={BAR: bar})
    assert result.met is False
    trials = result.report["search"]["history"]
    assert len(trials) > 2
    assert result.report["accuracy"]["int8"] == max(trial["score"] for trial in trials)


def test_a_metric_that_is_an_error(tmp_path):
    spec = {BAR: {"relative": 0.01, "higher_is_better": False}}
    result = tune_fake(ONE_GUILTY, tmp_path, spec=spec, eval_func=lambda model: 2 - model.score)
    assert result.met
    assert result.report["config"]["fp32"] == ["g7"]
    assert result.report["accuracy"]["drop_absolute"] > 0


def test_a_baseline_of_zero_is_not_passed_over(tmp_path):
    heard = Heard()
    result = tune_fake(EASY, tmp_path, eval_func=lambda model: 0.0, listener=heard)
    assert "scores 0" in heard.warnings[0]
    assert result.report["accuracy"]["drop_relative"] is None
    strictly(result.report_path.read_text())


def test_a_loss_from_zero_is_valid_json(tmp_path):
    scorer = Scorer(at={1: lambda: 0.0})
    result = tune_fake(EASY, tmp_path, eval_func=lambda model: scorer(model) * -1)
    assert result.met is False
    assert strictly(result.report_path.read_text())["accuracy"]["drop_relative"] is None


def test_a_metric_that_never_changes(tmp_path):
    assert tune_fake(HOPELESS, tmp_path, eval_func=lambda model: 0.5).met is True


def test_max_trials(tmp_path):
    heard = Heard()
    spec = {"tuning.exit_policy.max_trials": 1}
    result = tune_fake(ONE_GUILTY, tmp_path, spec=spec, listener=heard)
    assert result.met is False
    assert result.report["search"]["trials"] == 1
    assert any("max_trials (1) is reached" in note for note in heard.notes)


def test_a_larger_budget_continues_a_run_that_missed_the_bar(tmp_path):
    scorer = Scorer()
    # The last session evaluates the result once more: its score is one number.
    for trials, calls, met in ((1, 2, False), (1, 2, False), (2, 3, False), (9, 6, True)):
        spec = {"tuning.exit_policy.max_trials": trials}
        result = tune_fake(ONE_GUILTY, tmp_path, spec=spec, eval_func=scorer)
        assert (scorer.calls, result.met) == (calls, met)
    assert not (tmp_path / "fake-int8.not-certified.fake").exists()


def test_timeout(tmp_path):
    heard = Heard()
    scorer = Scorer(at={n: lambda: time.sleep(0.06) for n in range(9)})
    spec = {"tuning.exit_policy.timeout": 0.05}
    result = tune_fake(ONE_GUILTY, tmp_path, spec=spec, eval_func=scorer, listener=heard)
    assert result.report["search"]["trials"] == 1
    assert any("the timeout of 0.05 s is reached" in note for note in heard.notes)


@pytest.mark.parametrize(
    ("spec", "eval_func", "why"),
    [
        ({"tuning.exit_policy.performance_only": True}, Scorer(), "performance_only is set"),
        ({}, None, "there is no eval_func, and no evaluation.accuracy in the spec"),
    ],
)
def test_unchecked_accuracy_is_said(tmp_path, spec, eval_func, why):
    heard = Heard()
    result = tune_fake(HOPELESS, tmp_path, spec=spec, eval_func=eval_func, listener=heard)
    assert heard.warnings == [
        f"accuracy was NOT checked: {why}. Nothing is kept in fp32 for its sake."
    ]
    assert result.met is None
    assert result.report["accuracy"]["checked"] is False
    assert result.report["search"]["full_evaluations"] == 0
    assert result.path.exists()


@pytest.mark.parametrize("name", ["basic", "mse", "tpe", "random", "exhaustive", "conservative"])
def test_lpots_strategies_run_by_name(tmp_path, name):
    heard = Heard()
    spec = {"tuning.strategy.name": name, "tuning.exit_policy.max_trials": 30}
    result = tune_fake(EASY, tmp_path, spec=spec, listener=heard)
    assert result.met
    assert heard.warnings == []
    assert result.report["search"]["strategy"] == name


@pytest.mark.parametrize("name", ["tpe", "random", "bayesian", "mse"])
def test_a_stopped_search_asks_the_same_questions_again(tmp_path, name):
    spec = {"tuning.strategy.name": name, "tuning.exit_policy.max_trials": 9, f"{BAR}.absolute": 0}
    whole = tune_fake(SPREAD, tmp_path / "whole", spec=spec)
    scorer = Scorer(at={6: stop})
    with pytest.raises(Interrupted):
        tune_fake(SPREAD, tmp_path / "stopped", spec=spec, eval_func=scorer)
    again = tune_fake(SPREAD, tmp_path / "stopped", spec=spec, eval_func=scorer)
    histories = [run.report["search"]["history"] for run in (whole, again)]
    first, second = ([trial["config"] for trial in history] for history in histories)
    assert len(first) == 9
    assert first == second


def test_every_metric_has_its_bar(tmp_path):
    def both(model):
        return {"topk": 0.8, "MSE": 1 + (0.8 - model.score)}

    metrics = {"topk": 1, "MSE": {}, "higher_is_better": [True, False], "relative": [0.01, 0.005]}
    spec = {"evaluation.accuracy.multi_metrics": metrics}
    result = tune_fake(ONE_GUILTY, tmp_path, spec=spec, eval_func=both)
    assert result.met
    assert result.report["config"]["fp32"] == ["g7"]
    assert set(result.report["search"]["history"][0]["scores"]) == {"topk", "MSE"}


@pytest.mark.parametrize("name", ["sigopt", "hawq_v2", "mse_v2", "auto"])
def test_a_strategy_that_cannot_run_is_said(tmp_path, name):
    heard = Heard()
    result = tune_fake(EASY, tmp_path, spec={"tuning.strategy.name": name}, listener=heard)
    assert heard.warnings == [
        f"strategy '{name}' is not available in this version; bisection is used."
    ]
    search = result.report["search"]
    assert (search["strategy"], search["strategy_requested"]) == ("bisection", name)


def test_the_spec_may_not_leave_nothing_to_tune(tmp_path):
    fp32 = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}
    with pytest.raises(SpecError, match="nothing to tune"):
        tune_fake(EASY, tmp_path, spec={"quantization.op_wise": {".*": fp32}})


def test_networks_that_come_out_the_same_are_evaluated_once(tmp_path):
    class Same(FakeNetwork):
        """Equalization makes no difference to it."""

        def _factor(self, config):
            return 1.0

    backend = FakeBackend(Same(harm={"a": 0.3, "b": 0.3}))
    backend.emit = lambda config, statistics, emit=backend.emit: _without_config(
        emit(config, statistics)
    )
    scorer = Scorer()
    result = tune_fake(backend.network, tmp_path, eval_func=scorer, backend=backend)
    search = result.report["search"]
    assert search["trials"] > search["full_evaluations"] - 2  # fp32, and the result once more
    assert scorer.calls == search["full_evaluations"]


def _without_config(model):
    return type(model)(model.score, model.error)


# What eval_func does wrong


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda model: None, "returned None"),
        (lambda model: float("nan"), "returned nan"),
        (lambda model: float("inf"), "returned inf"),
        (lambda model: "0.9", "returned str '0.9'"),
        (lambda model: [], "returned list"),
        (lambda model: 1 / 0, "raised ZeroDivisionError"),
        (lambda model: sys.exit("no data"), "raised SystemExit: no data"),
        (lambda model: (0.5, ["x"]), "cannot be read"),
        (lambda model: EvaluationResult(score=None), "cannot be read"),
    ],
)
def test_a_bad_eval_func_is_one_sentence(tmp_path, wrong, message):
    with pytest.raises(EvaluationError, match=message) as caught:
        tune_fake(EASY, tmp_path, eval_func=wrong)
    assert "\n" not in str(caught.value)
    assert not leftovers(tmp_path)


@pytest.mark.parametrize(
    "score",
    [
        np.float32(0.5),
        np.array(0.5),
        (0.5, np.ones(4)),
        (np.float32(0.5), [0, 1]),
        EvaluationResult(score=np.float32(0.5), samples=np.int64(4)),
    ],
)
def test_every_documented_score_is_taken(tmp_path, score):
    result = tune_fake(EASY, tmp_path, eval_func=lambda model: score)
    assert result.report["accuracy"]["fp32"] == 0.5
    strictly(result.report_path.read_text())


def test_an_evaluation_that_fails_on_int8_only(tmp_path):
    output = tmp_path / "x.fake"
    output.write_text("good")
    bad = {n: lambda: 1 / 0 for n in range(2, 9)}
    with pytest.raises(
        EvaluationError, match="last 3 trials could not be evaluated; trial 3: .*Zero"
    ):
        tune_fake(EASY, tmp_path / "w", output=output, eval_func=Scorer(at=bad))
    assert output.read_text() == "good"
    # The same command tries the failed trial again.
    assert tune_fake(EASY, tmp_path / "w", output=output).met


def test_one_failed_trial_does_not_end_the_search(tmp_path):
    result = tune_fake(ONE_GUILTY, tmp_path, eval_func=Scorer(at={3: lambda: 1 / 0}))
    assert result.met
    assert [trial["error"] != "" for trial in result.report["search"]["history"]].count(True) == 1


@pytest.mark.parametrize("failing", [(2,), (2, 3), (3, 4, 5, 6)])
def test_as_long_as_some_can_be_evaluated_the_search_goes_on(tmp_path, failing):
    spec = {"tuning.strategy.name": "random", "tuning.exit_policy.max_trials": 8}
    scorer = Scorer(at={call: lambda: 1 / 0 for call in failing})
    result = tune_fake(HOPELESS, tmp_path, spec=spec, eval_func=scorer)
    history = result.report["search"]["history"]
    assert [n + 2 for n, trial in enumerate(history) if trial["error"]] == list(failing)
    assert len(history) == 8
    assert result.met is False


def test_failure_after_failure_ends_it_and_the_best_is_saved(tmp_path):
    heard = Heard()
    spec = {"tuning.strategy.name": "random"}
    scorer = Scorer(at={call: lambda: 1 / 0 for call in range(3, 99)})
    with pytest.raises(EvaluationError, match="last 5 trials could not be evaluated; trial 6: "):
        tune_fake(HOPELESS, tmp_path, spec=spec, eval_func=scorer, listener=heard)
    saved = tmp_path / "fake-int8.not-certified.fake"
    assert saved.exists()
    assert str(saved) in heard.notes[-1]


def test_a_defect_here_does_not_lose_the_best(tmp_path, monkeypatch):
    backend = FakeBackend(ONE_GUILTY)

    def broken(config, statistics):
        if config.fp32:
            raise RuntimeError("a defect")
        return FakeBackend.emit(backend, config, statistics)

    monkeypatch.setattr(backend, "emit", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        tune_fake(ONE_GUILTY, tmp_path, backend=backend)
    assert (tmp_path / "fake-int8.not-certified.fake").exists()
    assert tune_fake(ONE_GUILTY, tmp_path).met


# The dataloader


def test_a_one_shot_generator(tmp_path):
    def once():
        for _ in range(5):
            yield np.ones((4, 3), np.float32), np.zeros(4)

    assert tune_fake(EASY, tmp_path, dataloader=once()).met


def test_a_dataloader_that_raises_midway(tmp_path):
    def midway():
        yield np.ones((4, 3), np.float32)
        raise OSError("lost\nconnection")

    with pytest.raises(DataError, match="raised OSError at batch 1: lost connection") as caught:
        tune_fake(EASY, tmp_path, dataloader=midway())
    assert "\n" not in str(caught.value)


def test_a_dataloader_that_cannot_start(tmp_path):
    class Broken:
        def __iter__(self):
            raise TypeError("no such folder")

    with pytest.raises(DataError, match="could not start: it raised TypeError: no such folder"):
        tune_fake(EASY, tmp_path, dataloader=Broken())


def test_too_little_data_is_said(tmp_path):
    heard = Heard()
    tune_fake(EASY, tmp_path, dataloader=[np.ones((3, 3), np.float32)], listener=heard)
    assert any("ended after 3 of 8 samples" in note for note in heard.notes)


# Stopping and going on


@pytest.mark.parametrize("call", range(1, 8))
def test_stopping_at_any_evaluation_and_going_on(tmp_path, call):
    whole = tune_fake(SPREAD, tmp_path / "whole", eval_func=(uninterrupted := Scorer()))
    assert uninterrupted.calls == 7  # fp32, five trials, and the result once more
    folder, scorer = tmp_path / "w", Scorer(at={call: stop})
    with pytest.raises(Interrupted) as stopped:
        tune_fake(SPREAD, folder, eval_func=scorer)
    assert stopped.value.exit_code == 130
    kept = (
        "Nothing was finished" if call < 3 else "does not meet" if call < 5 else "(meets the bar)"
    )
    assert kept in str(stopped.value)
    result = tune_fake(SPREAD, folder, eval_func=scorer)
    assert scorer.calls == 8  # nothing but the stopped evaluation was done again
    assert result.path.read_bytes() == whole.path.read_bytes()
    ours, theirs = (
        [(trial["score"], trial["config"]) for trial in one.report["search"]["history"]]
        for one in (result, whole)
    )
    assert ours == theirs
    assert result.report["search"]["sessions"] == 2
    assert result.report["search"]["full_evaluations"] == 7
    # The uncertified model that the stopped session saved is superseded.
    files = sorted(path.name for path in folder.glob("fake-int8*"))
    assert files == ["fake-int8.fake", "fake-int8.report.html", "fake-int8.report.json"]


def test_what_a_stopped_run_saves_has_its_report(tmp_path):
    with pytest.raises(Interrupted):
        tune_fake(ONE_GUILTY, tmp_path, eval_func=Scorer(at={4: stop}))
    model = tmp_path / "fake-int8.not-certified.fake"
    report = strictly((tmp_path / "fake-int8.not-certified.report.json").read_text())
    assert report["search"]["complete"] is False
    assert report["model"]["path"] == str(model)
    assert report["accuracy"]["met"] is False


def test_stopping_while_latency_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr("lpot_examples.conclusion.Conclusion._measure", lambda *_: stop())
    with pytest.raises(Interrupted, match="complete but for the comparison of latency"):
        tune_fake(EASY, tmp_path)
    assert strictly((tmp_path / "fake-int8.report.json").read_text())["accuracy"]["met"]
    monkeypatch.undo()
    scorer = Scorer()
    assert tune_fake(EASY, tmp_path, eval_func=scorer).met
    assert scorer.calls == 0


def test_seconds_are_those_of_all_sessions(tmp_path):
    slow = {1: lambda: time.sleep(0.2), 3: stop}
    with pytest.raises(Interrupted):
        tune_fake(ONE_GUILTY, tmp_path, eval_func=Scorer(at=slow))
    result = tune_fake(ONE_GUILTY, tmp_path)
    assert 0.2 <= result.report["search"]["seconds"] < 5


def test_a_timeout_does_not_drop_trials_of_earlier_sessions(tmp_path):
    slow = {n: lambda: time.sleep(0.1) for n in (1, 2, 3)}
    with pytest.raises(Interrupted):
        tune_fake(SPREAD, tmp_path, eval_func=Scorer(at={**slow, 5: stop}))
    known = sum(event["event"] == "trial" for event in events(tmp_path))
    result = tune_fake(SPREAD, tmp_path, spec={"tuning.exit_policy.timeout": 0.01})
    assert result.report["search"]["trials"] == known
    assert result.met


def test_a_finished_run_is_repeated_from_the_cache(tmp_path):
    tune_fake(EASY, tmp_path)
    first = (tmp_path / "journal.jsonl").read_bytes()
    backend, scorer = FakeBackend(EASY), Scorer()
    assert tune_fake(EASY, tmp_path, eval_func=scorer, backend=backend).met
    assert backend.calibrations == 0
    assert scorer.calls == 2
    assert (tmp_path / "journal.1.jsonl").read_bytes() == first


def test_a_damaged_cache_is_made_again(tmp_path):
    tune_fake(EASY, tmp_path)
    (cached,) = (tmp_path / "calibration").glob("*.npz")
    whole = cached.read_bytes()
    for damage in (b"", whole[: len(whole) // 2], b"x" * 500, whole[:200] + whole[260:]):
        cached.write_bytes(damage)
        backend = FakeBackend(EASY)
        assert tune_fake(EASY, tmp_path, backend=backend).met
        assert backend.calibrations == 1


def test_trials_on_other_data_are_not_taken_over(tmp_path):
    with pytest.raises(Interrupted):
        tune_fake(ONE_GUILTY, tmp_path, eval_func=Scorer(at={3: stop}))
    scorer = Scorer()
    other = [np.full((4, 3), 2, np.float32)] * 10
    tune_fake(ONE_GUILTY, tmp_path, eval_func=scorer, dataloader=other)
    assert scorer.calls == 5  # every trial, and the result again; the fp32 score stands


def test_the_best_file_is_made_again_if_it_was_lost_or_changed(tmp_path):
    for damage in (Path.unlink, lambda path: path.write_text("{}")):
        folder = tmp_path / damage.__name__.strip("<>")
        with pytest.raises(Interrupted):
            tune_fake(EASY, folder, eval_func=Scorer(at={2: stop}))
        tune_fake(EASY, folder)
        folder.joinpath("journal.jsonl").write_text(
            "".join(
                json.dumps(event) + "\n"
                for event in events(folder)
                if event["event"] not in ("saved", "finished")
            )
        )
        (candidate,) = (folder / "candidates").iterdir()
        damage(candidate)
        result = tune_fake(EASY, folder, eval_func=Scorer())
        assert result.model.score == result.report["accuracy"]["int8"]


KILLED = """
import sys, time
from pathlib import Path
from lpot_examples.testing.fake_backend import FakeNetwork, tune_fake

def score(model):
    time.sleep(0.05)
    return model.score

network = FakeNetwork(harm={f"g{i}": 0.02 if i % 9 == 7 else 1e-4 for i in range(40)})
result = tune_fake(network, Path(sys.argv[1]), eval_func=score)
print(result.report["search"]["full_evaluations"], sorted(result.report["config"]["fp32"]))
"""


def test_kill_nine_repeats_at_most_one_trial(tmp_path):
    def start(folder):
        root = str(Path(__file__).parents[1])
        environment = {**os.environ, "PYTHONPATH": root, "PYTHONHASHSEED": "random"}
        arguments = [sys.executable, "-c", textwrap.dedent(KILLED), str(folder)]
        pipe = subprocess.PIPE
        return subprocess.Popen(arguments, env=environment, stdout=pipe, stderr=pipe, text=True)

    wanted, errors = start(tmp_path / "whole").communicate(timeout=60)
    assert wanted, errors
    folder = tmp_path / "w"
    for trials in (1, 2):
        process = start(folder)
        journal = folder / "journal.jsonl"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            if journal.exists() and journal.read_text().count('"event": "trial"') >= trials:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    found, errors = start(folder).communicate(timeout=60)
    assert found == wanted, errors
    digests = [event["digest"] for event in events(folder) if event["event"] == "trial"]
    assert len(digests) == len(set(digests))
    assert not leftovers(folder)


# What is in the way


def test_a_result_of_an_earlier_run_is_mentioned_and_left(tmp_path):
    output = tmp_path / "x.fake"
    output.write_text("earlier")
    heard = Heard()
    tune_fake(HOPELESS, tmp_path / "w", output=output, listener=heard)
    assert output.read_text() == "earlier"
    assert any(f"{output} is the result of an earlier run" in note for note in heard.notes)
    heard = Heard()
    tune_fake(EASY, tmp_path / "w2", output=output, listener=heard)
    assert (tmp_path / "x.not-certified.fake").exists()
    assert any("not-certified.fake is the result of an earlier" in note for note in heard.notes)


@pytest.mark.parametrize("step", ["candidate", "journal", "model", "report", "cache"])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, step):
    output = tmp_path / "x.fake"
    output.write_text("earlier")
    output.with_name("x.report.json").write_text("{}")
    full = OSError(28, "No space left on device")

    def fail(*_, **__):
        raise full

    real_write, real_fsync, calls = Path.write_text, os.fsync, []

    def write_text(path, *arguments, **options):
        if (step == "report" and "report" in path.name) or (
            step == "candidate" and path.parent.name == "candidates" and len(calls) > 6
        ):
            real_write(path, "half")
            raise full
        return real_write(path, *arguments, **options)

    def fsync(number):
        calls.append(number)
        if step == "journal" and len(calls) == 30:
            raise full
        real_fsync(number)

    monkeypatch.setattr(Path, "write_text", write_text)
    monkeypatch.setattr(os, "fsync", fsync)
    if step == "model":
        monkeypatch.setattr("lpot_examples.report.publish.shutil.copyfile", fail)
    if step == "cache":
        monkeypatch.setattr("lpot_examples.calibration.statistics.np.savez_compressed", fail)
    with pytest.raises((OutputError, OSError), match="No space left") as caught:
        tune_fake(ONE_GUILTY, tmp_path / "w", output=output)
    assert "\n" not in str(caught.value)
    assert not leftovers(tmp_path)
    if step != "report":
        assert output.read_text() == "earlier"
    monkeypatch.undo()
    result = tune_fake(ONE_GUILTY, tmp_path / "w", output=output)
    assert result.met
    assert strictly(output.with_name("x.report.json").read_text())["model"]["sha256"]


def test_a_benchmark_that_fails_does_not_spoil_the_result(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise LpotError("a benchmark process was killed.")

    monkeypatch.setattr("lpot_examples.conclusion.measure", fail)
    monkeypatch.setattr(
        "lpot_examples.testing.fake_backend.Tuner",
        lambda **arguments: build_tuner(**{**arguments, "source": tmp_path / "fp32"}),
    )
    (tmp_path / "fp32").write_text("fp32")
    heard = Heard()
    result = tune_fake(EASY, tmp_path / "w", listener=heard)
    assert result.met
    assert "latency was NOT compared" in heard.warnings[0]
    assert result.report["latency_ms"]["measured"] is False


def build_tuner(**arguments):
    from lpot_examples.tuner import Tuner

    return Tuner(**arguments)


def test_the_report_has_what_was_promised(tmp_path):
    result = tune_fake(ONE_GUILTY, tmp_path)
    report = strictly(result.report_path.read_text())
    assert report == json.loads(json.dumps(result.report))
    assert {"metric", "fp32", "int8", "drop_relative", "criterion", "met"} <= set(
        report["accuracy"]
    )
    assert {"strategy", "trials", "full_evaluations", "seconds"} <= set(report["search"])
    assert {"fp32", "int8", "speedup"} <= set(report["latency_ms"])
    assert {"fp32", "int8"} == set(report["size_bytes"])
    assert all(
        {"name", "type", "group", "precision", "reason"} == set(op) and op["reason"]
        for op in report["ops"]
    )
    assert {"cpu", "isa", "threads", "onednn"} <= set(report["host"])
    assert report["versions"]["numpy"] == np.__version__
    assert report["seed"] == 1978
    assert build.Outcome.__dataclass_params__.frozen
