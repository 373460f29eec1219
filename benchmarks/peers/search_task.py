"""What a search is run on, and the rows of the comparison of searches."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.zoo.topologies import Topology, find_topology
from peers.store import environment

REAL = {"fastestdet": "coco", "squeezenet": "imagenet", "mobilenet_v2": "imagenet"}
"""Topologies of the user's data, with the folder of their dataset."""

EMBEDDED = ("ssd_shapes", "digits")

MADE = "small_random"
"""A topology that is made in the work folder: few groups, and int8 of all of them loses."""

TOPOLOGIES = (*REAL, *EMBEDDED, MADE)

ENUMERABLE = ("digits", MADE)
"""Topologies of at most twelve groups that can run in int8."""

_TEMPLATES = Path(__file__).resolve().parent / "topologies"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network with its data.

    Attributes:
        topology: Spec, calibration data and evaluation.
        model: The fp32 network's file.
        dataset: The user's dataset, or None where it is embedded.
        root: Folder in which commands run, so that they find the topology.
    """

    topology: Topology
    model: Path
    dataset: Path | None
    root: Path

    @property
    def name(self) -> str:
        """The topology's name."""
        return self.topology.name

    def arguments(self) -> list[str]:
        """Return the options of ``tune`` that name the network and its data."""
        found = [f"--topology={self.name}", f"--input_model={self.model}"]
        return [*found, f"--dataset_location={self.dataset}"] if self.dataset else found


@dataclass(frozen=True, kw_only=True)
class Row:
    """One search to run.

    Attributes:
        subject: On what.
        bar: Largest relative loss of accuracy, 0–1.
        tool: A key of `search_run.TOOLS`.
        folder: Where everything of it is kept.
    """

    subject: Subject
    bar: float
    tool: str
    folder: Path

    def of(self, tool: str) -> Row:
        """Return the row of another tool on the same network and bar."""
        return Row(
            subject=self.subject, bar=self.bar, tool=tool, folder=self.folder.with_name(tool)
        )


def missing(name: str, data: Path | None) -> str:
    """Say why a topology cannot be searched; empty where it can."""
    if name not in REAL:
        return ""
    there = data and (data / "models" / f"{name}.pb").is_file() and (data / REAL[name]).is_dir()
    return "" if there else f"needs models/{name}.pb and {REAL[name]}/ in the folder of --data"


def subject(name: str, *, data: Path | None, work: Path) -> Subject:
    """Open a topology; the made one is made at the first call (half a minute).

    Args:
        name: One of `TOPOLOGIES`, of which nothing is `missing`.
        data: The user's folder.
        work: The work folder.
    """
    root = work / "topologies"
    root.mkdir(parents=True, exist_ok=True)
    if name == MADE:
        _make(root / "classification" / MADE)
    topology = find_topology(name, [root, _TEMPLATES.parents[2]])
    if name in REAL:
        assert data is not None
        model, dataset = data / "models" / f"{name}.pb", data / REAL[name]
        return Subject(topology=topology, model=model, dataset=dataset, root=root)
    assert topology.embedded_model is not None, f"{topology.folder} has no network"
    return Subject(topology=topology, model=topology.embedded_model, dataset=None, root=root)


def spec_file(row: Row, file: Path, **tuning: Any) -> Path:
    """Write the topology's spec with the bar and the search of a row.

    Args:
        row: The row.
        file: Where to write.
        tuning: Values of ``tuning`` to replace; mappings are merged, one level deep.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    spec = yaml.load(row.subject.topology.spec_path.read_text())
    spec["tuning"]["accuracy_criterion"] = {"relative": row.bar}
    for key, value in tuning.items():
        if isinstance(value, Mapping):
            spec["tuning"].setdefault(key, {}).update(value)
        else:
            spec["tuning"][key] = value
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as opened:
        yaml.dump(spec, opened)
    return file


def _make(folder: Path) -> None:
    template = _TEMPLATES / "classification" / MADE
    files = sorted(template.glob("*.*"))
    same = all((folder / f.name).is_file() for f in files) and all(
        (folder / f.name).read_bytes() == f.read_bytes() for f in files
    )
    if same and (folder / f"{MADE}.pb").is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder)
    print(f"Making the network {MADE}…", flush=True)
    subprocess.run(
        [sys.executable, str(folder / "make.py")], check=True, env=environment(threads=1)
    )
