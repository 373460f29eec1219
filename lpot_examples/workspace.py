"""Where a run keeps its files."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.errors import OutputError
from lpot_examples.spec import Spec

DEFAULT_ROOT = Path("lpot_workspace")


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
    def uncertified(self) -> Path:
        """Where the best model goes when none meets the bar; its name says so."""
        return self.output.with_name(f"{self.output.stem}.not-certified{self.output.suffix}")

    @property
    def report(self) -> Path:
        """The report of the result."""
        return report_path(self.output)


def report_path(model: Path) -> Path:
    """Return where the report of a model file is."""
    return model.with_name(f"{model.stem}.report.json")


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
    target = output or folder / f"{spec.model.name}-int8{suffix}"
    if target.is_dir():
        raise OutputError(f"the output model {target} is a folder; give the name of a file.")
    for place in dict.fromkeys((folder, target.parent)):
        _prepare(place, room)
    return Workspace(folder, target)


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
    return DEFAULT_ROOT / f"{spec.model.name}-{digest}"


def _prepare(folder: Path, room: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / ".write-test"
        trial.touch()
        trial.unlink()
        free = shutil.disk_usage(folder).free
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
