"""Finds topology folders by name.

A topology is a folder ``object_detection/<name>/`` or ``classification/<name>/`` that holds
``<name>.yaml``, in the current directory or next to the package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.errors import nearest
from lpot_examples.zoo.folder_module import TopologyError, run_build

DOMAINS = ("object_detection", "classification")


@dataclass(frozen=True)
class Topology:
    """A network with its tuning spec, calibration data and evaluation.

    Attributes:
        name: The folder's name.
        domain: One of `DOMAINS`.
        folder: Absolute.
        spec_path: ``<name>.yaml``.
        embedded_model: The frozen fp32 ``<name>.pb`` that the folder ships; None where users
            bring their own.
    """

    name: str
    domain: str
    folder: Path
    spec_path: Path
    embedded_model: Path | None

    def q_dataloader(
        self, dataset_location: Path | str | None = None, batch_size: int | None = None
    ) -> Iterable[Any]:
        """Return the calibration batches that ``q_dataloader.py`` builds.

        Args:
            dataset_location: The user's dataset; None where the topology embeds its own.
            batch_size: Samples per batch; the file's own default when None.

        Raises:
            TopologyError: If the file cannot be used.
            DataError: If the dataset is missing or inconsistent.
        """
        arguments = _given(batch_size=batch_size)
        batches: Iterable[Any] = run_build(
            self.folder / "q_dataloader.py", dataset_location=_path(dataset_location), **arguments
        )
        return batches

    def eval_func(
        self,
        dataset_location: Path | str | None = None,
        batch_size: int | None = None,
        limit: int | None = None,
    ) -> Callable[..., Any]:
        """Return the evaluation that ``eval_func.py`` builds.

        Args:
            dataset_location: The user's dataset; None where the topology embeds its own.
            batch_size: Samples per batch; the file's own default when None.
            limit: Evaluate the first samples only; all when None.

        Raises:
            TopologyError: If the file cannot be used.
            DataError: If the dataset is missing or inconsistent.
        """
        file = self.folder / "eval_func.py"
        arguments = _given(batch_size=batch_size)
        built = run_build(file, dataset_location=_path(dataset_location), limit=limit, **arguments)
        if not callable(built):
            raise TopologyError(
                f"build() of {file} must return a function of the model; it returned "
                f"{type(built).__name__}."
            )
        evaluation: Callable[..., Any] = built
        return evaluation


def known_topologies(roots: Iterable[Path] | None = None) -> dict[str, Topology]:
    """List the topologies by name.

    Args:
        roots: Where to look; a folder of an earlier root hides one of the same name in a later
            root. The current directory, then the folder that holds the package, when None.
    """
    if roots is None:
        roots = (Path.cwd(), Path(__file__).resolve().parents[2])
    found: dict[str, Topology] = {}
    for root in roots:
        for domain in DOMAINS:
            for spec in sorted((root / domain).glob("*/*.yaml")):
                if spec.stem == spec.parent.name and spec.stem not in found:
                    found[spec.stem] = _topology(spec.resolve(), domain)
    return dict(sorted(found.items()))


def find_topology(name: str, roots: Iterable[Path] | None = None) -> Topology:
    """Return a topology by name.

    Args:
        name: The folder's name, such as ``ssd_shapes``.
        roots: As for `known_topologies`.

    Raises:
        TopologyError: If there is none; the message lists all.
    """
    topologies = known_topologies(roots)
    if name not in topologies:
        listed = ", ".join(topologies) or "none"
        raise TopologyError(
            f"--topology must be one of {listed}; it is '{name}'.{nearest(name, topologies)}"
            f" A topology of your own is a folder {DOMAINS[0]}/{name}/ with {name}.yaml."
        )
    return topologies[name]


def _topology(spec: Path, domain: str) -> Topology:
    model = spec.with_suffix(".pb")
    return Topology(
        name=spec.stem,
        domain=domain,
        folder=spec.parent,
        spec_path=spec,
        embedded_model=model if model.is_file() else None,
    )


def _path(location: Path | str | None) -> Path | None:
    return None if location is None else Path(location)


def _given(**arguments: object) -> dict[str, object]:
    return {name: value for name, value in arguments.items() if value is not None}
