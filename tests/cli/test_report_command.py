"""``report`` as users run it."""

import json
import sys

import pytest

from lpot_examples import cli
from lpot_examples.testing.fake_backend import FakeNetwork, tune_fake

NETWORK = FakeNetwork(harm={"a": 0.02, "b": 1e-4})


def run(monkeypatch, *arguments):
    """Run the command line in this process; return the exit code and its last words."""
    monkeypatch.setattr(sys, "argv", ["lpot_examples", *map(str, arguments)])
    return cli._run()


@pytest.fixture
def result(tmp_path):
    return tune_fake(NETWORK, tmp_path / "w")


def test_a_workspace_and_a_report_give_the_same_page(result, tmp_path, monkeypatch, capsys):
    page = result.report_path.with_suffix(".html")
    first = page.read_text()
    page.unlink()
    assert run(monkeypatch, "report", tmp_path / "w") == (0, "")
    assert page.read_text() == first
    shown = capsys.readouterr().out
    assert "fake: Accuracy bar met" in shown
    assert f"page: {page}" in shown
    other = tmp_path / "other.html"
    assert run(monkeypatch, "report", result.report_path, f"--output={other}") == (0, "")
    assert other.read_text() == first


def test_a_result_elsewhere_is_found(tmp_path, monkeypatch):
    out = tmp_path / "out" / "x.fake"
    tune_fake(NETWORK, tmp_path / "w", output=out)
    page = out.with_name("x.report.html")
    page.unlink()
    assert run(monkeypatch, "report", tmp_path / "w" / "journal.jsonl")[0] == 0
    assert page.is_file()


def test_without_its_report_the_journal_speaks(result, tmp_path, monkeypatch, capsys):
    result.report_path.unlink()
    assert run(monkeypatch, "report", tmp_path / "w") == (0, "")
    shown = capsys.readouterr()
    assert "is not here; this is what its journal says" in shown.err
    assert "fake: Accuracy bar met" in shown.out
    assert (tmp_path / "w" / "progress.report.html").is_file()


def test_of_a_running_search(result, tmp_path, monkeypatch, capsys):
    lines = (tmp_path / "w" / "journal.jsonl").read_text().splitlines()
    known = [line for line in lines if json.loads(line)["event"] not in ("finished", "saved")]
    place = tmp_path / "running"
    place.mkdir()
    (place / "journal.jsonl").write_text("\n".join(known))
    assert run(monkeypatch, "report", place) == (0, "")
    assert "fake: Search unfinished" in capsys.readouterr().out
    assert "Search unfinished" in (place / "progress.report.html").read_text()


def test_the_latest_run_of_a_topology(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, words = run(monkeypatch, "report", "--topology=digits")
    assert code == 1
    assert "no run of digits is in lpot_workspace/" in words
    tune_fake(NETWORK, tmp_path / "lpot_workspace" / "digits-0123abcd")
    assert run(monkeypatch, "report", "--topology=digits") == (0, "")
    assert "lpot_workspace/digits-0123abcd" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of PLACE"),
        (["x", "--topology=digits"], "give one of PLACE"),
        (["nowhere"], "nowhere does not exist"),
        (["."], "holds no journal of a run"),
        (["text.json"], "is not JSON"),
        (["other.json"], "is not a report of a tuning run"),
        (["bytes.json"], "is not JSON"),
        (["--topology=digts"], "Did you mean 'digits'?"),
    ],
)
def test_mistakes_are_one_message(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "other.json").write_text('{"a": 1}')
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    code, words = run(monkeypatch, "report", *arguments)
    assert code == 1
    assert words.startswith("error: ")
    assert message in words
    assert "\n" not in words


def test_help_has_examples(monkeypatch, capsys):
    assert run(monkeypatch, "report", "--help") == (0, "")
    assert "Examples:" in capsys.readouterr().out
