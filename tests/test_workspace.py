"""Where files go, and that places without room or rights are found out at the start."""

import os
import stat
from pathlib import Path

import pytest

from lpot_examples.errors import OutputError, SpecError
from lpot_examples.spec import load_spec
from lpot_examples.workspace import open_workspace, replacing, temporary_path


def spec(name="net", **workspace):
    model = {"name": name, "framework": "tensorflow"}
    return load_spec(
        {"model": model, "tuning": {"workspace": workspace}} if workspace else {"model": model}
    )


def opened(output=None, *, room=0, identity="x", **options):
    return open_workspace(
        spec(**options), {"identity": identity}, output=output, suffix=".pb", room=room
    )


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_same_run_finds_its_folder_again():
    assert opened().folder == opened().folder != opened(identity="y").folder
    assert opened().output == opened().folder / "net-int8.pb"


@pytest.mark.parametrize("name", ["../../etc/net", "/abs", "..", "a b/ç:*?", "x" * 300])
def test_a_models_name_cannot_lead_elsewhere(here, name):
    workspace = opened(name=name)
    assert workspace.folder.resolve().parent == here / "lpot_workspace"
    assert workspace.output.parent == workspace.folder


def test_folders_are_made(here):
    opened(here / "a" / "b" / "x.pb", path=str(here / "c" / "d"))
    assert (here / "a" / "b").is_dir()
    assert (here / "c" / "d").is_dir()
    assert not [*here.rglob("*.tmp")]


def bad_places(here):
    (here / "file").write_text("")
    (here / "folder.pb").mkdir()
    os.mkfifo(here / "pipe.pb")
    yield here / "file" / "x.pb", "is a file, not a folder"
    yield here / "file" / "deeper" / "x.pb", "is a file, not a folder"
    yield here / "folder.pb", "is a folder; give the name of a file"
    yield here / "pipe.pb", "is a device or pipe"
    yield "/dev/null", "is a device or pipe"
    yield "/proc/x.pb", "cannot write in /proc"
    yield here / ("x" * 300 + ".pb"), "File name too long"
    yield here / ("x" * 240 + ".pb"), "File name too long"  # its report's name would be


def test_places_that_cannot_be_written(here):
    mode = Path("/dev/null").stat().st_mode
    for place, message in bad_places(here):
        with pytest.raises(OutputError, match=message) as caught:
            opened(here / place)
        assert "\n" not in str(caught.value)
    assert Path("/dev/null").stat().st_mode == mode
    assert stat.S_ISFIFO((here / "pipe.pb").stat().st_mode)


def test_a_disk_without_room(here):
    with pytest.raises(OutputError, match="MB free; the run may need"):
        opened(room=1 << 60)


def test_a_journal_to_resume_must_exist(here):
    with pytest.raises(SpecError, match="does not exist"):
        opened(resume=str(here / "nowhere"))


def test_replacing_is_whole_or_not_at_all(here):
    target = here / "x.pb"
    with replacing(target) as temporary:
        temporary.write_text("one")
    for error in (OSError, KeyboardInterrupt):
        with pytest.raises(error), replacing(target) as temporary:
            temporary.write_text("half")
            raise error
    assert target.read_text() == "one"
    assert [path.name for path in here.iterdir()] == ["x.pb"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(here):
    workspace = opened(here / "out" / "x.pb", path=str(here / "w"))
    (workspace.folder / "candidates").mkdir()
    workspace.calibration.mkdir()
    dead = 2**22 + 1  # beyond the largest process id
    gone = [
        workspace.folder / "candidates" / f".d.pb.{dead}.tmp",
        workspace.calibration / f".k.npz.{dead}.tmp",
        here / "out" / f".x.pb.{dead}.tmp",
        here / "out" / f".x.not-certified.report.json.{dead}.tmp",
        temporary_path(workspace.calibration / "mine"),
    ]
    kept = [
        here / "out" / f".other.pb.{dead}.tmp",
        here / "out" / ".x.pb.tmp",
        here / "out" / f".x.pb.{os.getppid()}.tmp",
        workspace.folder / f".users.{dead}.tmp",
        workspace.folder / "notes.tmp",
    ]
    for path in (*gone, *kept):
        path.write_text("")
    scratch = workspace.folder / f".scratch.{dead}.tmp"
    scratch.mkdir()
    workspace.sweep()
    assert not [path for path in (*gone, scratch) if path.exists()]
    assert all(path.exists() for path in kept)
