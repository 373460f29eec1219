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
    assert render(found)


def test_a_resumed_run_is_described_once_and_its_sessions_count(tmp_path):
    interrupted(tmp_path, after=1)
    tune_fake(NETWORK, tmp_path)
    journal = tmp_path / "journal.jsonl"
    events = [json.loads(line)["event"] for line in journal.read_text().splitlines()]
    assert events.count("described") == 1
    assert report_from_journal(journal)["search"]["sessions"] == 2


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
