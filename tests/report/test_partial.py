"""Reports of runs that have not ended, from their journals."""

import json

import pytest

from lpot_examples.errors import LpotError
from lpot_examples.report.page import render
from lpot_examples.report.partial import ending, report_from_journal
from lpot_examples.report.run import command_line
from lpot_examples.testing.fake_backend import FakeNetwork, tune_fake

# Plain int8 misses the bar of 0.008, so groups are reverted and there are several trials.
NETWORK = FakeNetwork(harm={"a": 0.02, "b": 1e-4, "c": 1e-4, "d": 1e-4}, unable=frozenset({"d"}))


class Stopped(BaseException):
    """Like kill -9: nothing is rescued."""


def interrupted(folder, *, after):
    """Run until a trial; return the journal."""
    count = 0

    def score(model):
        nonlocal count
        count += 1
        if count > after:
            raise Stopped
        return model.score

    with pytest.raises(Stopped):
        tune_fake(NETWORK, folder, eval_func=score)
    return folder / "journal.jsonl"


def evaluations(folder):
    """How many evaluations a run takes, and how many of them come before the first trial."""
    count = before = 0

    def score(model):
        nonlocal count, before
        count += 1
        before += model.config is None
        return model.score

    result = tune_fake(NETWORK, folder, eval_func=score)
    return count, before, result.report


def test_a_run_that_was_cut_off_shows_the_trials_so_far(tmp_path):
    total, before, whole = evaluations(tmp_path / "whole")
    assert whole["search"]["trials"] >= 2
    journal = interrupted(tmp_path / "cut", after=before + 1)
    found = report_from_journal(journal)
    assert found["search"]["complete"] is False
    assert found["search"]["trials"] == 1
    assert found["search"]["history"][0]["config"] == whole["search"]["history"][0]["config"]
    assert found["accuracy"]["fp32"] == whole["accuracy"]["fp32"]
    assert found["accuracy"]["met"] is False
    assert found["model"]["name"] == "fake"
    precisions = {op["name"]: (op["precision"], op["reason"]) for op in found["ops"]}
    assert precisions["a"] == ("int8", "int8 in the best trial so far")
    assert precisions["d"] == ("fp32", "it has no int8 kernel")
    assert ending(journal) is None
    page = render(found)
    assert "Search unfinished" in page
    assert "Accuracy bar m" not in page


def test_before_the_first_trial(tmp_path):
    journal = interrupted(tmp_path, after=1)
    found = report_from_journal(journal)
    assert found["search"]["trials"] == 0
    assert found["accuracy"]["fp32"] == NETWORK.fp32_score
    assert "No trial has a score yet" in render(found)


def test_a_cut_off_line_does_no_harm(tmp_path):
    journal = interrupted(tmp_path, after=1)
    with journal.open("a") as file:
        file.write('{"event": "trial", "dig')
    assert report_from_journal(journal)["search"]["trials"] == 0


def test_the_journal_of_a_finished_run_agrees_with_its_report(tmp_path):
    whole = evaluations(tmp_path)[2]
    journal = tmp_path / "journal.jsonl"
    found = report_from_journal(journal)
    assert ending(journal)["event"] == "finished"
    assert found["search"]["complete"] is True
    for key in ("fp32", "int8", "met", "metric", "drop_absolute", "criterion"):
        assert found["accuracy"][key] == whole["accuracy"][key], key
    assert found["search"]["shipped"] == whole["search"]["shipped"]
    assert len(found["search"]["history"]) == len(whole["search"]["history"])
    assert found["config"] == whole["config"]
    assert found["search"]["sensitivity"] == whole["search"]["sensitivity"] != {}
    assert render(found)


def test_a_resumed_run_is_described_once_and_its_sessions_count(tmp_path):
    interrupted(tmp_path, after=1)
    tune_fake(NETWORK, tmp_path)
    journal = tmp_path / "journal.jsonl"
    events = [json.loads(line)["event"] for line in journal.read_text().splitlines()]
    assert events.count("described") == 1
    assert report_from_journal(journal)["search"]["sessions"] == 2


def rewritten(journal, *, change=lambda event: event, more=()):
    """Change the events of a journal, and add some of the same calibration data."""
    events = [change(json.loads(line)) for line in journal.read_text().splitlines()]
    scope = next(event["calibration"] for event in events if "calibration" in event)
    events += [{"at": 9.0, "calibration": scope, **event} for event in more]
    journal.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    return journal


def test_the_objective_chooses_as_in_the_run(tmp_path):
    network = FakeNetwork(harm={"a": 0.003, "b": 0.003, "c": 1e-4})
    policy = {"max_trials": 12, "timeout": 100}
    spec = {
        "tuning.strategy.name": "tpe",
        "tuning.objective": "accuracy",
        **{f"tuning.exit_policy.{key}": value for key, value in policy.items()},
    }
    whole = tune_fake(network, tmp_path, spec=spec).report
    passing = [trial for trial in whole["search"]["history"] if trial["met"]]
    least_fp32 = min(passing, key=lambda trial: len(trial["config"]["fp32"]))
    assert least_fp32["index"] != whole["search"]["shipped"]
    found = report_from_journal(tmp_path / "journal.jsonl")
    assert found["search"]["shipped"] == whole["search"]["shipped"]
    assert found["search"]["objective"]["text"] == "accuracy"
    assert found["size_bytes"]["int8"] == whole["size_bytes"]["int8"]


def test_several_metrics(tmp_path):
    def both(model):
        return {"MSE": 1 + (0.8 - model.score), "topk": model.score}

    metrics = {"topk": 1, "MSE": {}, "higher_is_better": [True, False], "weight": [0.8, 0.2]}
    spec = {"evaluation.accuracy.multi_metrics": metrics}
    whole = tune_fake(NETWORK, tmp_path, spec=spec, eval_func=both).report
    found = report_from_journal(tmp_path / "journal.jsonl")
    assert found["accuracy"] == json.loads(json.dumps(whole["accuracy"]))
    assert [metric["name"] for metric in found["accuracy"]["metrics"]] == ["topk", "MSE"]
    assert found["search"]["full_evaluations"] == whole["search"]["full_evaluations"]
    page = render(found)
    assert "The weighted loss is" in page


def test_the_latency_map_of_the_same_data_is_shown(tmp_path):
    before = evaluations(tmp_path / "whole")[1]
    journal = interrupted(tmp_path / "cut", after=before + 1)
    assert report_from_journal(journal)["search"]["latency_map"] is None
    unit = {"name": "a", "group": True, "int8": 1.0, "fp32": 2.0}
    known = {"event": "latencies", "map": {"units": [unit], "crossings": [], "rest": 0.5}}
    rewritten(journal, more=[known])
    found = report_from_journal(journal)
    assert found["search"]["latency_map"] == known["map"]
    assert "No sensitivity of single groups is known yet" in render(found)
    other = {"event": "probe", "calibration": "other data", "config": "x", "error": 1.0}
    rewritten(journal, more=[other])
    found = report_from_journal(journal)
    assert found["search"]["latency_map"] is None
    assert found["search"]["trials"] == 0


def test_a_stopped_trial_that_was_evaluated_after_all_keeps_its_place(tmp_path):
    journal = tmp_path / "journal.jsonl"
    whole = evaluations(tmp_path)[2]["search"]["history"]
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    first = next(record for record in records if record["event"] == "trial")

    def stop(event):
        if event["event"] != "trial" or event["digest"] != first["digest"]:
            return event
        stopped = {"score": None, "stopped_early": {"bound": 0.01}, "evaluated": 0.25}
        return {**event, "data": {**event["data"], **stopped}}

    rewritten(journal, change=stop, more=[{**first, "event": "settled"}])
    history = report_from_journal(journal)["search"]["history"]
    assert [one["index"] for one in history] == [one["index"] for one in whole]
    assert history[0]["score"] == whole[0]["score"]
    assert history[0]["evaluated"] == 1.25


def test_the_file_says_what_the_result_is(tmp_path):
    whole = evaluations(tmp_path)[2]["search"]
    journal = tmp_path / "journal.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    made = {e["data"]["index"]: e["sha256"] for e in records if e["event"] == "trial"}
    other = next(index for index in made if index != whole["shipped"])

    def ended_with(sha256):
        def change(event):
            return {**event, "sha256": sha256} if event["event"] == "finished" else event

        return report_from_journal(rewritten(journal, change=change))

    assert report_from_journal(journal)["model"]["precision"] == "int8"
    # The runner-up was faster.
    found = ended_with(made[other])
    assert (found["search"]["shipped"], found["model"]["precision"]) == (other, "int8")
    # fp32 was.
    found = ended_with("0" * 64)
    assert (found["search"]["shipped"], found["model"]["precision"]) == (whole["shipped"], "fp32")


def test_a_run_that_goes_on_after_its_budget_is_unfinished(tmp_path):
    evaluations(tmp_path)
    journal = tmp_path / "journal.jsonl"
    rewritten(
        journal,
        change=lambda event: {**event, "event": event["event"].replace("finished", "exhausted")},
    )
    assert report_from_journal(journal)["search"]["complete"] is True
    rewritten(journal, more=[{"event": "resumed"}])
    assert report_from_journal(journal)["search"]["complete"] is False


def test_a_journal_of_nothing_is_one_message(tmp_path):
    journal = tmp_path / "journal.jsonl"
    journal.write_text('{"event": "started", "identity": {}}\n')
    with pytest.raises(LpotError, match="does not say which network was tuned"):
        report_from_journal(journal)
    with pytest.raises(LpotError, match="cannot read the journal"):
        report_from_journal(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["/x/lpot_examples/__main__.py", "tune", "--topology=a b"], None),
        (["/venv/bin/lpot_examples", "report", "w"], "lpot_examples report w"),
        (["/home/me/train.py", "--token=secret"], "python train.py"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_the_command_line(arguments, line):
    wanted = line or "python -m lpot_examples tune '--topology=a b'"
    assert command_line(arguments) == wanted
