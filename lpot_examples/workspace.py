"""Where a run keeps its files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.errors import OutputError
from lpot_examples.spec import Spec

DEFAULT_ROOT = Path("lpot_workspace")

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.tmp")


@dataclass(frozen=True)
class Workspace:
    """The folder of a run.

    Attributes:
        folder: Holds the journal, calibration statistics and candidates.
        output: Where the result goes.
    """

    folder: Path
    output: Path

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.folder / "journal.jsonl"

    @property
    def calibration(self) -> Path:
        """The folder of cached statistics."""
        return self.folder / "calibration"

    def candidate(self, digest: str) -> Path:
        """The file of a configuration's model."""
        return self.folder / "candidates" / f"{digest}{self.output.suffix}"

    @property
    def fp32(self) -> Path:
        """The network as given, where it was not given as a file."""
        return self.folder / f"fp32{self.output.suffix}"

    @property
    def scratch(self) -> Path:
        """A folder that is needed only while a step runs; see `replacing` for its real name."""
        return self.folder / "scratch"

    @property
    def uncertified(self) -> Path:
        """Where the best model goes when none meets the bar; its name says so."""
        return self.output.with_name(f"{self.output.stem}.not-certified{self.output.suffix}")

    @property
    def slower(self) -> Path:
        """Where an int8 model goes that is slower than fp32; its name says so."""
        return self.output.with_name(f"{self.output.stem}.slower{self.output.suffix}")

    def sweep(self) -> None:
        """Remove what writes that were cut off, by kill -9 say, left behind.

        Only the process that holds the journal's lock may do so. Names that are not of this
        project's making, and files of processes that still run, are left alone.
        """
        outputs = (self.output, self.uncertified)
        described = (*map(report_path, outputs), *map(page_path, outputs))
        known = (*outputs, *described, self.slower, self.fp32, self.scratch)
        own = {path.name for path in known}
        for folder in dict.fromkeys((self.folder, self.output.parent)):
            _remove_leftovers(folder, own)
        for folder in (self.folder / "candidates", self.calibration):
            _remove_leftovers(folder)


def temporary_path(target: Path) -> Path:
    """Return the name under which this process prepares a file or folder."""
    return target.with_name(f".{target.name}.{os.getpid()}.tmp")


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path whose file takes the target's place when the block succeeds.

    Args:
        target: The file to write or replace; untouched if the block raises.

    Yields:
        A path in the same folder.
    """
    temporary = temporary_path(target)
    try:
        yield temporary
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        raise


def report_path(model: Path) -> Path:
    """Return where the report of a model file is."""
    return model.with_name(f"{model.stem}.report.json")


def page_path(model: Path) -> Path:
    """Return where the report of a model file is as a page to look at."""
    return model.with_name(f"{model.stem}.report.html")


def open_workspace(
    spec: Spec, identity: dict[str, Any], *, output: Path | None, suffix: str, room: int
) -> Workspace:
    """Choose and make the folder of a run, and check that its results can be written.

    Args:
        spec: ``tuning.workspace`` names the folder; else it is named after model and identity,
            so that the same command finds its own again.
        identity: What the run is of.
        output: Where the user wants the result; None for a place in the workspace.
        suffix: Suffix of model files.
        room: Bytes that the results may need.

    Raises:
        OutputError: If the folder or the output's place is not writable, or has no room.
        SpecError: If ``tuning.workspace.resume`` does not exist.
    """
    folder = _folder(spec, identity)
    target = output or folder / f"{default_name(spec.model.name)}-int8{suffix}"
    for place in dict.fromkeys((folder, target.parent)):
        _prepare(place, room)
    workspace = Workspace(folder, target)
    _check_replaceable(target, report_path(workspace.uncertified))
    return workspace


def _try_name(path: Path) -> None:
    """Write an empty file under the name that a file of this path is prepared with."""
    trial = temporary_path(path)
    trial.touch()
    trial.unlink()


def _check_replaceable(target: Path, longest: Path) -> None:
    try:
        _try_name(longest)
        mode = target.stat().st_mode if target.exists() else stat.S_IFREG
    except OSError as error:
        raise OutputError(
            f"cannot write the output model {target}: {error.strerror}. Choose another name."
        ) from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"the output model {target} is a folder; give the name of a file.")
    if not stat.S_ISREG(mode):
        raise OutputError(
            f"the output model {target} is a device or pipe; give the name of a file."
        )


def _remove_leftovers(folder: Path, names: Collection[str] | None = None) -> None:
    """Remove a folder's temporary files of dead processes: of these names, or of any."""
    for path in folder.glob(".*.tmp"):
        parts = _TEMPORARY.fullmatch(path.name)
        if parts is None or (names is not None and parts["name"] not in names):
            continue
        if parts["process"] != str(os.getpid()) and Path(f"/proc/{parts['process']}").exists():
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
            continue
        with contextlib.suppress(OSError):  # in the way of nothing
            path.unlink()


def default_name(name: str) -> str:
    """Return a model's name as part of a file name: no separators, not hidden, not long."""
    return re.sub(r"[^\w.+ -]+", "-", name).strip(". -")[:100] or "model"


def _folder(spec: Spec, identity: dict[str, Any]) -> Path:
    wanted = spec.tuning.workspace
    if wanted.resume is not None:
        resume = Path(wanted.resume)
        if not resume.exists():
            raise spec.error(
                f"{resume} does not exist; give the folder or journal of an earlier run.",
                "tuning",
                "workspace",
                "resume",
            )
        return resume if resume.is_dir() else resume.parent
    if wanted.path is not None:
        return Path(wanted.path)
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    return DEFAULT_ROOT / f"{default_name(spec.model.name)}-{digest}"


def _prepare(folder: Path, room: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _try_name(folder / "write-test")
        free = shutil.disk_usage(folder).free
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(
            f"cannot write in {folder}: a part of that path is a file, not a folder. Choose "
            "another (--output_model, tuning.workspace.path)."
        ) from error
    except OSError as error:
        raise OutputError(
            f"cannot write in {folder}: {error.strerror}. Choose a folder that is writable "
            "(--output_model, tuning.workspace.path)."
        ) from error
    if free < room:
        raise OutputError(
            f"{folder} has {free / 1e6:.0f} MB free; the run may need {room / 1e6:.0f} MB. Make "
            "room or choose another place."
        )
