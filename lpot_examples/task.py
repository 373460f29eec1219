"""What a command line asks for: a spec, a network, its data and its evaluation.

`tune` and `benchmark` share this. A topology folder may hold Python files, or none: what has no
file comes from the yaml.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples.errors import DataError, LpotError, ModelError
from lpot_examples.network import open_network
from lpot_examples.spec import Spec, load_spec

if TYPE_CHECKING:
    from lpot_examples.zoo.topologies import Topology

MODELS = Path("models")
"""Where networks of the catalogue are kept, below the current directory."""

PLACES = ("datasets/{kind}", "{kind}_records")
"""Where a dataset is looked for when no place is given, below the current directory: the first is
what we advise, the second what ``prepare_dataset.sh`` does without ``--output_dir``."""

Prepare = Callable[[str, Path], Path]
"""``prepare(name, folder)`` downloads a network of the catalogue, as `prepare_model` does."""

PrepareData = Callable[[str, Path], Path]
"""``prepare_data(kind, folder)`` makes records of a public dataset, as ``prepare_dataset.sh``."""

_RECORDED = {
    "COCORecord": "coco",
    "COCORaw": "coco",
    "ImageRecord": "imagenet",
    "Imagenet": "imagenet",
    "ImagenetRaw": "imagenet",
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A topology or a yaml, and what the user said beside it. It can be pickled.

    Attributes:
        topology: The folder; None for a yaml of its own.
        spec: The tuning spec.
        dataset_location: Where the dataset is; None where none is needed, or the yaml says it.
        batch_size: Samples in a batch of the evaluation; the default of the folder or yaml if None.
        limit: Evaluate the first samples only; all when None.
        model: The fp32 network; None until it is found.
    """

    topology: Topology | None
    spec: Spec
    dataset_location: Path | None = None
    batch_size: int | None = None
    limit: int | None = None
    model: Path | None = None

    @property
    def name(self) -> str:
        """What the network is called."""
        return self.topology.name if self.topology is not None else self.spec.model.name

    @property
    def found_model(self) -> Path:
        """The network, once `with_model` has found it."""
        assert self.model is not None
        return self.model

    def with_model(
        self, given: Path | None, *, prepare: Prepare | None = None, needs_data: bool = False
    ) -> Task:
        """Return the task with its network: as given, embedded, prepared before, or downloaded.

        Args:
            given: ``--input_model``.
            prepare: Downloads, and shows how far it is.
            needs_data: Whether nothing is to be downloaded where the folder's Python files do not
                find their data.

        Raises:
            LpotError: If there is none, or it cannot be had.
        """
        model = given or self._found()
        if model is None:
            if needs_data and self.has("q_dataloader.py") and self._catalogued:
                self.q_dataloader()
            model = self._downloaded(prepare)
        return replace(self, model=model)

    def q_dataloader(self) -> Iterable[Any]:
        """Return the calibration batches.

        Raises:
            LpotError: If they cannot be had.
        """
        if self.topology is not None and self.has("q_dataloader.py"):
            return self.topology.q_dataloader(self.dataset_location)
        from lpot_examples.from_yaml import calibration_loader

        self._require("q_dataloader.py", self.spec.quantization.calibration.dataloader)
        return calibration_loader(
            self.spec, dataset_location=self.dataset_location, model=self.model
        )

    def eval_func(self) -> Callable[..., Any] | None:
        """Return what scores a model; None where a yaml of its own says nothing of accuracy.

        Raises:
            LpotError: If it cannot be had.
        """
        if self.topology is not None and self.has("eval_func.py"):
            return self.topology.eval_func(self.dataset_location, self.batch_size, self.limit)
        accuracy = self.spec.evaluation.accuracy
        if accuracy is None and self.topology is None:
            return None
        from lpot_examples.from_yaml import evaluation

        self._require("eval_func.py", accuracy)
        return evaluation(
            self.spec,
            dataset_location=self.dataset_location,
            batch_size=self.batch_size,
            limit=self.limit,
            model=self.model,
            reference=partial(open_network, self.model, self.spec),
        )

    def data_identity(self) -> str:
        """Describe the data and the code that reads and scores it; if it changes, a run is new."""
        where = str(self.dataset_location.resolve()) if self.dataset_location else "embedded"
        code = hashlib.sha256()
        if self.topology is not None:
            for path in sorted(self.topology.folder.glob("*.py")):
                code.update(path.name.encode() + path.read_bytes())
        if not (self.has("q_dataloader.py") and self.has("eval_func.py")):
            code.update(self._sections().encode())
        return f"{self.name} {where} {self.limit or 'all'} {code.hexdigest()[:16]}"

    def _sections(self) -> str:
        """The yaml's data sections and the folder that their paths are relative to."""
        from lpot_examples.from_yaml import base_of

        calibration = self.spec.quantization.calibration.dataloader
        accuracy = self.spec.evaluation.accuracy
        parts = [part.model_dump_json() if part else "" for part in (calibration, accuracy)]
        return "\n".join([str(base_of(self.spec)), *parts])

    def has(self, file: str) -> bool:
        """Tell whether the topology folder has a file."""
        return self.topology is not None and (self.topology.folder / file).is_file()

    def _require(self, file: str, section: object) -> None:
        if section is None and self.topology is not None:
            key = {
                "q_dataloader.py": "quantization.calibration.dataloader",
                "eval_func.py": "evaluation.accuracy",
            }[file]
            raise LpotError(
                f"topology '{self.name}' has neither {self.topology.folder / file} nor {key} in "
                f"{self.spec.source or 'its yaml'}. Add one of them; docs/topologies.md says how."
            )

    def _found(self) -> Path | None:
        if self.topology is not None and self.topology.embedded_model is not None:
            return self.topology.embedded_model
        from lpot_examples.zoo.prepare import prepared_model

        return prepared_model(self.name, MODELS)

    @property
    def _catalogued(self) -> bool:
        from lpot_examples.zoo.catalogue import CATALOGUE

        return self.name in CATALOGUE

    def _downloaded(self, prepare: Prepare | None) -> Path:
        from lpot_examples.zoo.prepare import prepare_model

        if not self._catalogued:
            raise ModelError(self._no_model())
        return (prepare or prepare_model)(self.name, MODELS)

    def _no_model(self) -> str:
        if self.topology is None:
            return (
                f"--input_model is required: no network is known by the name '{self.name}' of the "
                "yaml. Give --input_model=model.pb."
            )
        return (
            f"topology '{self.name}' has no embedded model. Give one with --input_model=model.pb; "
            f"{self.topology.folder / 'README.md'} says where to get it."
        )


def open_task(
    *,
    topology: str = "",
    config: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    dataset_location: Path | None = None,
    batch_size: int | None = None,
    limit: int | None = None,
    needs_data: bool = True,
    prepare_data: PrepareData | None = None,
) -> Task:
    """Return the task of a command line.

    Args:
        topology: Name of a folder, or empty.
        config: A yaml in place of the folder's own, or of its own.
        overrides: Keys of the spec and what replaces them; see `load_spec`.
        dataset_location: Where the dataset is; a default place where there is one, if None.
        batch_size: Samples in a batch of the evaluation.
        limit: Evaluate the first samples only.
        needs_data: Whether data will be read; if not, no dataset is looked for.
        prepare_data: Fetches what a network of the catalogue needs and is not there.

    Raises:
        LpotError: If there is no such folder, the yaml is wrong, or neither is given.
    """
    folder = None
    if topology:
        from lpot_examples.zoo.topologies import find_topology

        folder = find_topology(topology)
    source = config or (folder.spec_path if folder is not None else None)
    if source is None:
        raise LpotError(
            "--topology or --config is required: the name of a topology folder, such as "
            "--topology=ssd_shapes, or a yaml that says where the data is and how it is scored."
        )
    task = Task(
        topology=folder,
        spec=load_spec(source, overrides=overrides or {}),
        dataset_location=dataset_location,
        batch_size=batch_size,
        limit=limit,
    )
    if dataset_location is not None or not needs_data:
        return task
    return replace(task, dataset_location=_default(task, prepare_data))


def _default(task: Task, prepare: PrepareData | None) -> Path | None:
    """Return where the dataset is that a task needs, if the user did not say it.

    Raises:
        DataError: If a network of the catalogue needs COCO, it is not there and cannot be fetched.
    """
    kind, required = _needed(task)
    if not kind:
        return None
    places = [Path(place.format(kind=kind)) for place in PLACES]
    found = next((place for place in places if place.is_dir() and not _unfinished(place)), None)
    if found is not None or kind != "coco" or not required:
        return found
    if prepare is not None:
        return prepare(kind, places[0])
    raise DataError(
        f"--dataset_location was not given, and {places[0]} does not exist. Make it with "
        f"'bash prepare_dataset.sh --dataset=coco --output_dir={places[0]}', which downloads "
        "COCO val2017, or give the folder of your own copy."
    )


def _unfinished(place: Path) -> bool:
    """Tell whether a folder is one that `prepare_dataset.sh` has begun and not finished."""
    begun = any((place / name).is_dir() for name in (".conversion", "download"))
    return begun and not (place / "summary.json").is_file()


def _needed(task: Task) -> tuple[str, bool]:
    """Return the dataset that a task needs, if it is one with a default place, and how surely."""
    if task.topology is None or not (task.has("q_dataloader.py") or task.has("eval_func.py")):
        sections = (task.spec.quantization.calibration, task.spec.evaluation.accuracy)
        loaders = [part.dataloader for part in sections if part is not None and part.dataloader]
        for loader in loaders:
            ((name, arguments),) = loader.dataset.items()
            if name in _RECORDED and not (isinstance(arguments, Mapping) and arguments.get("root")):
                return _RECORDED[name], False
        return "", False
    if task.topology.embedded_model is not None:
        return "", False
    from lpot_examples.zoo.catalogue import CATALOGUE

    known = CATALOGUE.get(task.topology.name)
    if known is not None:
        return known.dataset, True
    return {"object_detection": "coco", "classification": "imagenet"}[task.topology.domain], False
