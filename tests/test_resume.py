"""``kill -9`` after every event of the journal, and a disk that fills up at any moment."""

import json
import os
import shutil
import signal
import subprocess
import traceback
from pathlib import Path

import pytest

from lpot_examples.errors import OutputError
from lpot_examples.testing.fake_backend import FakeNetwork, tune_fake

NETWORK = FakeNetwork(harm={f"g{i}": 0.001 * (i + 1) for i in range(10)})
SUITED = FakeNetwork(
    harm={f"g{i}": 0.004 for i in range(4)}, suited={f"g{i}": "kl" for i in range(4)}
)
GOING_ON = {"tuning.exit_policy.timeout": 3600, "tuning.exit_policy.max_trials": 8}


def events(folder):
    """The whole lines of a journal."""
    journal = folder / "journal.jsonl"
    lines = journal.read_text().split("\n")[:-1] if journal.exists() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def in_a_child(work):
    """Do something in a process forked from this one; return how that ended."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_after(writes, *, half=False):
    """Have this process killed once it wrote so many events, or in the middle of the last."""
    real, count = os.fsync, 0

    def fsync(number):
        nonlocal count
        real(number)
        count += 1
        if count == writes:
            if half:
                size = os.fstat(number).st_size
                os.ftruncate(number, size - 9)
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = fsync


def outcome(result):
    history = [{**trial, "seconds": 0} for trial in result.report["search"]["history"]]
    return history, result.report["config"], result.report["accuracy"], result.path.read_bytes()


@pytest.mark.parametrize("half", [False, True], ids=["after", "within"])
@pytest.mark.parametrize(
    ("network", "strategy"),
    [(NETWORK, "bisection"), (SUITED, "random"), (NETWORK, "tpe"), (NETWORK, "basic")],
)
def test_killed_again_and_again_the_result_is_the_same(tmp_path, network, strategy, half):
    spec = {**GOING_ON, "tuning.strategy.name": strategy}
    whole = tune_fake(network, tmp_path / "whole", spec=spec)
    folder, sessions = tmp_path / "w", 0

    def session():
        # A session begins with events that say so; each gets one event further.
        killed_after(sessions + 1, half=half)
        tune_fake(network, folder, spec=spec)

    while (code := in_a_child(session)) == -signal.SIGKILL:
        sessions += 1
        assert sessions < 100
        check_best_is_on_disk(folder)
    assert code == 0
    assert sessions >= 5
    report = json.loads((folder / whole.report_path.name).read_text())
    history = [{**trial, "seconds": 0} for trial in report["search"]["history"]]
    shipped = (folder / whole.path.name).read_bytes()
    assert (history, report["config"], report["accuracy"], shipped) == outcome(whole)
    trials = [event["digest"] for event in events(folder) if event["event"] == "trial"]
    assert len(trials) == len(set(trials))
    assert not [*folder.rglob("*.tmp")]


def test_killed_after_any_event_the_result_is_the_same(tmp_path):
    spec = {**GOING_ON, "tuning.exit_policy.max_trials": 3, "tuning.strategy.name": "tpe"}
    whole = tune_fake(SUITED, tmp_path / "whole", spec=spec)
    count = len(events(tmp_path / "whole"))
    assert count > 8

    for number in range(1, count + 1):
        folder = tmp_path / str(number)

        def session(folder=folder, number=number):
            killed_after(number)
            tune_fake(SUITED, folder, spec=spec)

        assert in_a_child(session) == -signal.SIGKILL
        assert outcome(tune_fake(SUITED, folder, spec=spec)) == outcome(whole)


def check_best_is_on_disk(folder):
    """A trial that met the bar has its file: as the result, or still as a candidate."""
    met = [one for one in events(folder) if one["event"] == "trial" and one["data"]["met"]]
    if not met:
        return
    result = folder / "fake-int8.fake"
    candidates = [folder / "candidates" / f"{one['digest']}.fake" for one in met]
    assert result.exists() or any(path.exists() for path in candidates)
    # What says that it is saved is true, and it is a certified one.
    saved = [one for one in events(folder) if one["event"] == "saved"]
    if saved:
        assert json.loads(result.read_text())["config"] in [one["data"]["config"] for one in met]


def test_the_best_so_far_is_in_place_before_the_next_is_evaluated(tmp_path):
    seen = []
    result = tmp_path / "fake-int8.fake"

    def score(model):
        seen.append(json.loads(result.read_text())["score"] if result.exists() else None)
        return model.score

    spec = {**GOING_ON, "tuning.strategy.name": "random"}
    tune_fake(SUITED, tmp_path, spec=spec, eval_func=score)
    first = next(n for n, score in enumerate(seen) if score is not None)
    assert first < len(seen) - 1
    assert all(score is not None for score in seen[first:])
    assert all(score >= 0.8 * 0.99 for score in seen[first:])


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    wanted = outcome(tune_fake(NETWORK, tmp_path / "a", spec=GOING_ON))
    jumps = iter(range(0, -(10**12), -(10**8)))
    monkeypatch.setattr("time.time", lambda: float(next(jumps)))
    result = tune_fake(NETWORK, tmp_path / "b", spec=GOING_ON)
    assert outcome(result) == wanted
    assert 0 <= result.report["search"]["seconds"] < 60


def test_what_the_search_did_not_ask_again_does_not_keep_it_going(tmp_path):
    """A journal's trials cost no time; those of another turn of the search are not waited for."""
    calls = 0

    def fails_once(model):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("the network share was away")
        if calls == 5:
            raise KeyboardInterrupt
        return model.score

    spec = {"tuning.strategy.name": "tpe", **GOING_ON}
    with pytest.raises(Exception, match="stopped"):
        tune_fake(NETWORK, tmp_path, spec=spec, eval_func=fails_once)
    late = {**spec, "tuning.exit_policy.timeout": 1e-6}
    result = tune_fake(NETWORK, tmp_path, spec=late, eval_func=lambda model: model.score)
    assert result.report["search"]["trials"] < 8


@pytest.fixture
def small_disk(tmp_path):
    """Mounts file systems of few pages; needs the right to."""
    mounted = []

    def mount(pages):
        folder = tmp_path / f"disk{pages}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={pages * 4}k", "tmpfs", str(folder)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs the right to mount a tmpfs")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=False, capture_output=True)


def test_a_disk_that_is_full_at_any_moment(small_disk):
    """Whatever cannot be written: one message, nothing half-written, and the run continues."""
    said, finished = [], 0
    for pages in range(1, 60, 2):
        disk = small_disk(pages)
        output = disk / "out" / "tuned.fake"
        try:
            tune_fake(NETWORK, disk / "w", output=output, spec=GOING_ON)
            finished += 1
        except OutputError as error:
            said.append(str(error))
        assert not [*disk.rglob("*.tmp")]
        for path in disk.rglob("*.fake"):
            json.loads(path.read_text())
        for path in disk.rglob("*.report.json"):
            report = json.loads(path.read_text())
            assert Path(report["model"]["path"]).exists()
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert tune_fake(NETWORK, disk / "w", output=output, spec=GOING_ON).met
        if finished > 1:
            break
    assert finished
    assert all("No space left" in words or "MB free" in words for words in said)
    assert len({words.split("/")[0] for words in said}) > 2  # several steps met it
