"""Writes topology folders: from templates, or as a copy of another topology."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples.errors import OutputError
from lpot_examples.workspace import temporary_path
from lpot_examples.zoo.folder_module import TopologyError
from lpot_examples.zoo.guess import Dataset, Draft
from lpot_examples.zoo.interface import Tensor
from lpot_examples.zoo.topologies import DOMAINS, Topology, known_topologies

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"

_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,78}\w)?", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})  # of yaml 1.1
_MODEL = re.compile(r"^model:.*\n(?:[ \t]+\S.*(?:\n|\Z))*", re.MULTILINE)

# By the suffix of the fp32 network: the framework to write, and how files of tuned networks end.
_FRAMEWORKS = {".onnx": ("onnxrt_qdq", ".onnx")}
_TENSORFLOW = ("tensorflow", ".pb")

# What a dataset is called in the commands of the README.
_EXAMPLES: Mapping[Dataset, str] = {
    "coco": "coco/",
    "voc": "VOC2012/",
    "imagenet": "imagenet/",
    "folder": "images/",
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a new topology goes.

    Attributes:
        domain: One of `topologies.DOMAINS`.
        name: The folder's.
        folder: ``<domain>/<name>`` in the current directory.
    """

    domain: str
    name: str
    folder: Path


def place(text: str) -> Place:
    """Return where a new topology goes.

    Args:
        text: ``object_detection/<name>`` or ``classification/<name>``.

    Raises:
        TopologyError: If it is not of that form, or a topology of that name exists.
    """
    domain, _, name = text.rstrip("/").partition("/")
    if domain not in DOMAINS or not _NAME.fullmatch(name):
        raise TopologyError(
            f"the new topology must be {DOMAINS[0]}/NAME or {DOMAINS[1]}/NAME, NAME of letters, "
            f"digits, '_', '-' and '.', such as {DOMAINS[0]}/my_model; got '{text}'."
        )
    existing = known_topologies().get(name)
    folder = Path(domain) / name
    if existing is not None or folder.exists():
        where = existing.folder if existing is not None else folder
        raise TopologyError(
            f"{where} exists already and is left as it is. Choose another name, or remove it."
        )
    return Place(domain=domain, name=name, folder=folder)


def draft_files(place: Place, draft: Draft, *, model: Path, dataset: Dataset) -> dict[str, str]:
    """Return the files of a new topology by name.

    Args:
        place: Where they go.
        draft: What they say.
        model: The fp32 network.
        dataset: What it will be scored on.
    """
    environment = _environment()
    example = "inputs.npz" if draft.kind == "arrays" else _EXAMPLES[dataset]
    context: dict[str, Any] = {
        "place": place,
        "draft": draft,
        "inputs": draft.inputs,
        "outputs": draft.outputs,
        "model": str(model),
        "reference": str(model.resolve()),
        "dataset": example,
        **_kind(model),
    }
    names = {
        "q_dataloader.py": f"{draft.kind}.q_dataloader.py",
        "eval_func.py": f"{draft.kind}.eval_func.py",
        f"{place.name}.yaml": "spec.yaml",
        "README.md": "README.md",
    }
    files = {
        name: environment.get_template(f"{template}.jinja").render(context)
        for name, template in names.items()
    }
    return {**files, "expected.json": _expected(draft.metric)}


def copied_files(
    place: Place,
    source: Topology,
    *,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    model: Path,
) -> dict[str, str]:
    """Return the files of a topology that is a copy of another one.

    Its Python files are taken with the new name in place of the old, but for ``train.py``; its
    yaml too, with the network's inputs and outputs.

    Args:
        place: Where they go.
        source: The topology to copy.
        inputs: The network's inputs.
        outputs: Its outputs.
        model: The fp32 network.

    Raises:
        TopologyError: If a file of the source cannot be read.
    """
    context = {
        "place": place,
        "source": source,
        "inputs": inputs,
        "outputs": outputs,
        "model": str(model),
        **_kind(model),
    }
    environment = _environment()
    section = environment.get_template("model.yaml.jinja").render(context)
    word = re.compile(rf"\b{re.escape(source.name)}\b")
    code = (path for path in sorted(source.folder.glob("*.py")) if path.name != "train.py")
    metrics = source.folder / "expected.json"
    metric = json.loads(_read(metrics)).get("metric", "score") if metrics.is_file() else "score"
    return {
        **{path.name: word.sub(place.name, _read(path)) for path in code},
        f"{place.name}.yaml": _with_model(source, section),
        "README.md": environment.get_template("copy.README.md.jinja").render(context),
        "expected.json": _expected(metric),
    }


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write a folder, whole or not at all.

    Args:
        folder: It must not exist.
        files: The content of its files by name.

    Raises:
        OutputError: If it cannot be written.
    """
    temporary = temporary_path(folder)
    try:
        temporary.mkdir(parents=True)
        for name, text in files.items():
            (temporary / name).write_text(text, encoding="utf-8")
        temporary.rename(folder)
    except OSError as error:
        raise OutputError(
            f"cannot write {folder}: {error.strerror}. Choose a current directory that is writable "
            "and has room."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # it is gone if all went well


def _kind(model: Path) -> dict[str, str]:
    framework, suffix = _FRAMEWORKS.get(model.suffix.lower(), _TENSORFLOW)
    return {"framework": framework, "suffix": suffix}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TopologyError(
            f"{path} of the topology to copy cannot be read: {error}. Restore it or copy another."
        ) from None


def _with_model(source: Topology, section: str) -> str:
    """Return a topology's yaml with another ``model:`` section, all else as it is written."""
    text, count = _MODEL.subn(lambda _: section, _read(source.spec_path), count=1)
    if not count:
        raise TopologyError(
            f"{source.spec_path} of the topology to copy must have a section 'model:' at the "
            "beginning of a line. Copy another one."
        )
    return text


def _expected(metric: str) -> str:
    """Return an ``expected.json`` of which nothing is measured yet."""
    content = {
        "metric": metric,
        "fp32": None,
        "int8": None,
        "tolerance": None,
        "measured_on": None,
    }
    return json.dumps(content, indent=2) + "\n"


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(yaml=_yaml, py=json.dumps, names=_names)
    return environment


def _yaml(name: str) -> str:
    """Write a tensor's name so that yaml reads it as that text."""
    plain = _PLAIN.fullmatch(name) and name.lower() not in _WORDS
    return name if plain else json.dumps(name)


def _names(tensors: Sequence[Tensor]) -> str:
    """Write names as a Python tuple, broken into lines where they are many."""
    quoted = [json.dumps(tensor.name) for tensor in tensors]
    line = f"({', '.join(quoted)}{',' if len(quoted) == 1 else ''})"
    return line if len(line) <= 60 else "(\n" + "".join(f"    {name},\n" for name in quoted) + ")"
