"""Runs that look at their evaluations sample by sample: intervals, races, noise, odd metrics."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lpot_examples.cli.tune_tables import print_result
from lpot_examples.evaluation.racing import RISK
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.events import Listener
from lpot_examples.graph import TuningConfig
from lpot_examples.search.trial import Trial
from lpot_examples.testing.fake_backend import FakeNetwork, tune_fake
from lpot_examples.tuner import Interrupted

EASY = FakeNetwork(harm={"a": 1e-4, "b": 1e-4, "c": 1e-4})
ONE_GUILTY = FakeNetwork(harm={f"g{i}": 0.1 if i == 7 else 1e-5 for i in range(20)})
HOPELESS = FakeNetwork(harm={"a": 0.1, "b": 0.2, "c": 0.3})
BAR = "tuning.accuracy_criterion"


class Heard(Listener):
    def __init__(self):
        self.warnings = []

    def warning(self, text):
        self.warnings.append(text)


class Answers:
    """An eval_func of right and wrong answers: a model is right on its score's share of samples.

    ``used`` are the samples of each call, ``stop_at`` the call that Ctrl-C interrupts.
    """

    def __init__(self, samples=4000, noise=0.0, stop_at=0):
        self.samples, self.noise, self.stop_at = samples, noise, stop_at
        self.hardness = np.random.default_rng(0).permutation(samples) / samples
        self.rng = np.random.default_rng(1)
        self.used = []

    def right(self, model, rows):
        blur = self.noise * self.rng.normal(size=len(rows)) if self.noise else 0.0
        return (self.hardness[rows] + blur < model.score).astype(float)

    def __call__(self, model, *, monitor=None):
        self.used.append(0)
        if len(self.used) == self.stop_at:
            raise KeyboardInterrupt
        order = np.arange(self.samples) if monitor is None else monitor.order(self.samples)
        found = np.zeros(self.samples)
        for start in range(0, self.samples, 50):
            rows = order[start : start + 50]
            found[rows] = self.right(model, rows)
            self.used[-1] += len(rows)
            if monitor is not None and monitor(found[rows], rows):
                return 0.0
        return found.mean(), found

    def scored(self, trial):
        """The score that the whole set gives a trial's configuration."""
        score = HOPELESS.score(TuningConfig.from_dict(trial["config"]))
        return (self.hardness < score).mean()


class Numbers(Answers):
    """The same, as one number."""

    def __call__(self, model):
        self.used.append(self.samples)
        return self.right(model, np.arange(self.samples)).mean()


def trials(result):
    return result.report["search"]["history"]


def test_a_hopeless_trial_is_stopped_and_the_winner_is_not(tmp_path):
    answers = Answers()
    result = tune_fake(ONE_GUILTY, tmp_path, eval_func=answers)
    assert result.met
    stopped = [trial for trial in trials(result) if trial["stopped_early"]]
    assert stopped
    for trial in stopped:
        stop = trial["stopped_early"]
        assert (trial["score"], trial["met"], trial["error"]) == (None, False, "")
        assert stop["samples"] < 1000 < stop["of"] == 4000
        assert stop["allowance"] < stop["bound"] <= stop["loss"] + 1e-4
        assert trial["evaluated"] == stop["samples"] / 4000
        assert Trial.from_dict(json.loads(json.dumps(trial))).excess() > 1
    # fp32 and each trial as far as it went; the few samples that were repeated are told apart.
    spent = sum(answers.used) / 4000 - result.report["accuracy"]["repeatability"]["evaluated"]
    assert result.report["search"]["full_evaluations"] == pytest.approx(spent)
    certified = next(trial for trial in trials(result) if trial["met"])
    assert certified["evaluated"] == 1.0
    assert result.report["accuracy"]["int8"] == pytest.approx(result.model.score, abs=1 / 4000)


def test_the_journal_says_why_a_trial_was_stopped(tmp_path):
    tune_fake(ONE_GUILTY, tmp_path, eval_func=Answers())
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    data = [event["data"] for event in map(json.loads, lines) if event["event"] == "trial"]
    assert {"samples", "of", "bound", "allowance", "loss"} == set(data[0]["stopped_early"])


def test_races_find_the_same_groups_for_less(tmp_path):
    with_races = tune_fake(ONE_GUILTY, tmp_path / "a", eval_func=Answers())
    without = tune_fake(ONE_GUILTY, tmp_path / "b", eval_func=lambda model: Answers()(model))
    assert with_races.met and without.met
    assert with_races.report["config"]["fp32"] == without.report["config"]["fp32"] == ["g7"]
    costs = [one.report["search"]["full_evaluations"] for one in (with_races, without)]
    assert costs[0] < costs[1]


def test_if_none_meets_the_bar_the_best_is_evaluated_fully(tmp_path):
    """Only a model that was evaluated on every sample is shipped, under whatever name."""
    spec = {
        BAR: {"absolute": 0.001},
        "quantization.op_wise": {},
        "tuning.exit_policy.max_trials": 2,
    }
    result = tune_fake(HOPELESS, tmp_path, eval_func=(answers := Answers()), spec=spec)
    assert result.met is False
    lines = map(json.loads, (tmp_path / "journal.jsonl").read_text().splitlines())
    given_up = [event["data"] for event in lines if event["event"] == "trial"]
    assert len(given_up) == 2
    assert all(trial["stopped_early"] for trial in given_up)
    (settled,) = [trial for trial in trials(result) if not trial["stopped_early"]]
    promising = min(given_up, key=lambda trial: trial["loss"])
    assert (settled["index"], settled["config"]) == (promising["index"], promising["config"])
    assert settled["evaluated"] == 1.0 + promising["evaluated"]
    assert [trial["index"] for trial in trials(result)] == [1, 2]
    assert result.report["accuracy"]["int8"] == settled["score"] == answers.scored(settled)
    calls = len(answers.used)
    again = tune_fake(HOPELESS, tmp_path, eval_func=answers, spec=spec)
    assert [trial["score"] for trial in trials(again)] == [
        trial["score"] for trial in trials(result)
    ]
    assert len(answers.used) == calls


@pytest.mark.parametrize("call", range(1, 6))
def test_stopping_and_going_on_makes_the_same_races(tmp_path, call):
    whole = tune_fake(ONE_GUILTY, tmp_path / "whole", eval_func=(uninterrupted := Answers()))
    folder, answers = tmp_path / "w", Answers(stop_at=call)
    with pytest.raises(Interrupted):
        tune_fake(ONE_GUILTY, folder, eval_func=answers)
    result = tune_fake(ONE_GUILTY, folder, eval_func=answers)
    assert answers.used == [*uninterrupted.used[: call - 1], 0, *uninterrupted.used[call - 1 :]]

    def without_time(one):
        return [{**trial, "seconds": 0} for trial in trials(one)]

    assert without_time(result) == without_time(whole)
    assert result.report["accuracy"] == whole.report["accuracy"]


def test_small_sets_are_evaluated_fully(tmp_path):
    result = tune_fake(ONE_GUILTY, tmp_path, eval_func=Answers(samples=150))
    assert not any(trial["stopped_early"] for trial in trials(result))
    assert RISK <= 0.01


def test_the_report_says_how_sure_the_loss_is(tmp_path, capsys):
    network = FakeNetwork(harm={"a": 0.001, "b": 0.001})
    for samples, verdict in ((100_000, "supported"), (400, "undecided")):
        result = tune_fake(network, tmp_path / str(samples), eval_func=Answers(samples))
        accuracy = result.report["accuracy"]
        interval = accuracy["interval"]
        assert interval["verdict"] == verdict
        assert interval["low"] <= accuracy["drop_absolute"] <= interval["high"]
        assert interval["relative"]["low"] <= accuracy["drop_relative"]
        assert interval["samples"] == samples
        print_result(result)
        shown = capsys.readouterr().out
        assert f"accuracy: {accuracy['certainty']}." in shown
        assert ("too small" in shown) is (verdict == "undecided")


def test_a_resampled_metric_has_an_interval_after_a_resume_too(tmp_path):
    """The draws of fp32 come from the journal: the samples themselves are gone."""

    def score(model):
        values = model.score + 0.1 * np.sin(np.arange(200))
        return EvaluationResult(
            score=float(np.median(values)),
            samples=200,
            resample=lambda indices: float(np.median(values[indices])),
        )

    def interrupted(model):
        if model.config is not None:
            raise KeyboardInterrupt
        return score(model)

    whole = tune_fake(EASY, tmp_path / "whole", eval_func=score)
    with pytest.raises(Interrupted):
        tune_fake(EASY, tmp_path / "w", eval_func=interrupted)
    result = tune_fake(EASY, tmp_path / "w", eval_func=score)
    interval = result.report["accuracy"]["interval"]
    assert "bootstrap" in interval["method"]
    assert interval == whole.report["accuracy"]["interval"]


def test_one_number_says_nothing_of_its_certainty(tmp_path):
    accuracy = tune_fake(EASY, tmp_path).report["accuracy"]
    assert accuracy["interval"] is None
    assert "cannot be told" in accuracy["certainty"]
    assert accuracy["repeatability"] is None


def test_a_deterministic_evaluation_is_said_to_be_one(tmp_path):
    answers, heard = Answers(), Heard()
    repeated = tune_fake(EASY, tmp_path, eval_func=answers, listener=heard)
    repeatability = repeated.report["accuracy"]["repeatability"]
    assert (repeatability["differing"], repeatability["spread"]) == (0, 0.0)
    assert answers.used == [4000, 150, 4000]  # a twentieth, in batches, up to 128
    assert heard.warnings == []


def test_noise_is_reported_with_its_spread_and_widens_the_verdict(tmp_path):
    heard = Heard()
    noisy = tune_fake(EASY, tmp_path / "n", eval_func=Answers(noise=0.1), listener=heard)
    repeatability = noisy.report["accuracy"]["repeatability"]
    assert 0 < repeatability["differing"] < repeatability["samples"]
    assert repeatability["spread"] > 0
    assert "not deterministic" in heard.warnings[0]
    interval = noisy.report["accuracy"]["interval"]
    assert interval["spread"] == repeatability["spread"]
    assert "widened" in interval["text"]


def test_noise_in_one_number_is_found_when_several_models_were_tried(tmp_path, capsys):
    heard = Heard()
    numbers = Numbers(noise=0.1)
    result = tune_fake(ONE_GUILTY, tmp_path, eval_func=numbers, listener=heard)
    accuracy = result.report["accuracy"]
    assert accuracy["repeatability"]["spread"] > 0
    assert any("two evaluations of the same model differ by" in text for text in heard.warnings)
    assert "differ by" in accuracy["certainty"]
    assert result.report["search"]["full_evaluations"] == len(numbers.used)
    print_result(result)
    assert "differ by" in capsys.readouterr().out


def test_a_second_evaluation_that_fails_is_told_and_costs_nothing(tmp_path):
    heard, calls = Heard(), []

    def score(model):
        calls.append(model)
        if calls.count(model) == 2:
            raise OSError("the data are gone")
        return model.score

    result = tune_fake(ONE_GUILTY, tmp_path, eval_func=score, listener=heard)
    assert result.met
    assert "that failed: eval_func raised OSError" in heard.warnings[-1]
    assert result.report["accuracy"]["repeatability"] is None


@pytest.mark.parametrize(
    ("eval_func", "bar", "words"),
    [
        (lambda model: 0.5, 0.01, "scores exactly as the fp32 model does"),
        (lambda model: (0.5, np.full(100, 0.5)), 0.01, "every one of the 100 samples scores 0.5"),
        (lambda model: (model.score, np.ones(100)), 0.01, "the per-sample scores are not used"),
        (lambda model: model.score, 0.0, "allows no loss at all"),
        (lambda model: (0.5, np.array([1.0, 0.0] * 50)), 0.01, "0.5 of one of the 100 samples"),
    ],
)
def test_odd_metrics_and_bars_are_told(tmp_path, eval_func, bar, words):
    heard = Heard()
    tune_fake(EASY, tmp_path, eval_func=eval_func, spec={BAR: {"relative": bar}}, listener=heard)
    assert any(words in text for text in heard.warnings)


@pytest.mark.parametrize(("second", "told"), [(0.5, True), (None, False)])
def test_one_of_two_metrics_that_changes_is_no_surprise(tmp_path, second, told):
    heard = Heard()

    def score(model):
        return {"top1": 0.5, "other": second or model.score}

    tune_fake(EASY, tmp_path, eval_func=score, listener=heard)
    assert any("exactly as the fp32 model" in text for text in heard.warnings) is told


def test_a_single_named_metric_has_its_own_bar(tmp_path):
    metrics = {"topk": 1, "relative": [0.5]}
    spec = {"evaluation.accuracy.multi_metrics": metrics, BAR: {"relative": 1e-9}}
    result = tune_fake(EASY, tmp_path, spec=spec)
    assert result.met
    assert result.report["accuracy"]["criterion"]["relative"] == 0.5


def test_a_stopped_trial_is_told_in_words():
    stop = {"samples": 50, "of": 4000, "loss": 0.3, "bound": 0.21, "allowance": 0.008}
    trial = Trial(
        index=1,
        config=TuningConfig(),
        score=None,
        loss=0.3,
        allowance=0.008,
        met=False,
        seconds=1.0,
        stopped_early=stop,
    )
    wanted = "stopped after 50 of 4000 samples: it loses at least 0.2100, 0.0080 is allowed"
    assert trial.failure() == wanted
    assert replace(trial, stopped_early=None, error="no data").failure() == "failed: no data"
