"""The journal survives crashes, other runs and other processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lpot_examples.errors import LpotError, OutputError
from lpot_examples.journal import Journal, read_events

ONE, OTHER = {"model": "a", "sizes": (1, 2)}, {"model": "b"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def write(path, identity, *events):
    journal = Journal(path, identity)
    for event, data in events:
        journal.write(event, **data)
    journal.close()
    return journal


def test_an_unfinished_run_is_continued(path):
    write(path, ONE, ("probe", {"config": "x", "error": 1.5}))
    journal = Journal(path, ONE)
    assert journal.resumed
    assert journal.sessions == 2
    assert journal.find("probe", config="x")["error"] == 1.5
    assert journal.find("probe", config="y") is None
    journal.close()


@pytest.mark.parametrize("lost", [1, 5, 30])
def test_a_line_that_was_cut_off_is_ignored(path, lost):
    write(path, ONE, ("probe", {"config": "x"}), ("probe", {"config": "y" * 40}))
    path.write_bytes(path.read_bytes()[:-lost])
    journal = write(path, ONE, ("probe", {"config": "z"}))
    assert journal.resumed
    assert journal.find("probe", config="x")
    # A line that lacks only its end is whole; in any case the next one does not run into it.
    assert (journal.find("probe", config="y" * 40) is not None) == (lost == 1)
    assert [event.get("config") for event in read_events(path)][-1] == "z"


def test_garbage_is_no_journal(path):
    path.write_bytes(bytes(range(256)) * 10)
    journal = write(path, ONE)
    assert not journal.resumed
    assert path.with_name("journal.1.jsonl").exists()


def test_a_run_of_something_else_is_set_aside(path):
    write(path, ONE, ("probe", {"config": "x"}))
    before = path.read_bytes()
    journal = write(path, OTHER)
    assert not journal.resumed
    assert journal.set_aside == path.with_name("journal.1.jsonl")
    assert journal.set_aside.read_bytes() == before
    assert write(path, ONE).set_aside == path.with_name("journal.2.jsonl")


def test_a_finished_run_is_kept_and_not_continued(path):
    write(path, ONE, ("finished", {}))
    journal = write(path, ONE)
    assert not journal.resumed
    assert journal.set_aside is None  # nothing unfinished was lost sight of
    assert path.with_name("journal.1.jsonl").exists()


def test_narrowed_events_hold_for_the_same_data_only(path):
    journal = Journal(path, ONE)
    journal.write("baseline", score=1.0)
    journal.narrow(calibration="k")
    assert journal.find("baseline") is None
    journal.write("trial", digest="d", calibration="overridden")
    assert journal.find("trial", digest="d")
    journal.close()
    journal = Journal(path, ONE)
    assert journal.find("baseline")
    journal.narrow(calibration="other")
    assert journal.find("trial", digest="d") is None
    journal.close()


def test_seconds_add_up_over_sessions(path):
    lines = [
        {"event": "started", "at": 0.0, "identity": {"model": "a", "sizes": [1, 2]}},
        {"event": "baseline", "at": 4.0},
        {"event": "resumed", "at": 0.0},
        {"event": "probe", "at": 2.5},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    journal = Journal(path, ONE)
    assert journal.seconds_before == 6.5
    journal.close()


def test_two_processes_do_not_share_a_workspace(path):
    journal = Journal(path, ONE)
    code = (
        "import sys; from pathlib import Path; from lpot_examples.journal import Journal\n"
        "Journal(Path(sys.argv[1]), {})"
    )
    command = [sys.executable, "-c", code, str(path)]
    run = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert "another process is tuning in" in run.stderr
    with pytest.raises(LpotError, match="another process"):
        Journal(path, OTHER)
    assert journal.path.exists()
    journal.close()
    write(path, ONE)  # free again


def test_a_full_disk_is_one_error_even_at_the_end(path, monkeypatch):
    journal = Journal(path, ONE)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lpot_examples.journal.os.fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        journal.write("trial", digest="d")
    monkeypatch.undo()
    journal.close()
    assert write(path, ONE).resumed


def test_a_folder_in_its_place(path):
    path.mkdir()
    with pytest.raises(OutputError, match="journal"):
        Journal(path, ONE)
    path.rmdir()
    write(path, ONE)  # the lock was let go
