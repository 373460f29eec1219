import json
import tomllib
from pathlib import Path

import pytest

from lpot_examples.errors import LpotError, OutputError
from lpot_examples.spec import load_spec
from lpot_examples.zoo.guess import guess
from lpot_examples.zoo.interface import Tensor
from lpot_examples.zoo.scaffold import (
    TEMPLATES,
    copied_files,
    draft_files,
    place,
    write_folder,
)
from lpot_examples.zoo.topologies import find_topology

ROOT = Path(__file__).parents[2]


def tensor(name, shape, dtype="float32"):
    return Tensor(name=name, shape=shape, dtype=dtype)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        "my_model",
        "classification",
        "classification/",
        "segmentation/x",
        "classification/a/b",
        "classification/../x",
        "classification/.x",
        "classification/a b",
        "classification/a\n",
        "classification/x.",
        "/classification/x",
        "classification/" + "x" * 81,
    ],
)
def test_names_that_cannot_be(text):
    with pytest.raises(LpotError, match="must be object_detection/NAME or classification/NAME"):
        place(text)


def test_a_name_that_is_taken(here):
    with pytest.raises(LpotError, match="digits exists already and is left as it is"):
        place("object_detection/digits")  # --topology=digits would find the other one
    (here / "classification" / "mine").mkdir(parents=True)
    with pytest.raises(LpotError, match="classification/mine exists already"):
        place("classification/mine")
    assert place("classification/yours/").folder == Path("classification/yours")


def test_names_of_tensors_that_yaml_would_misread(here):
    names = ["on", "1e3", "scope/x:1", "a#b", "x"]
    outputs = [tensor(name, (None, 4)) for name in names]
    taken = [tensor("null", (None, 8))]
    where = place("classification/mine")
    draft = guess(taken, outputs, domain="classification", dataset="folder")
    files = draft_files(where, draft, model=Path("m.pb"), dataset="folder")
    write_folder(where.folder, files)
    spec = load_spec(where.folder / "mine.yaml")
    assert spec.model.inputs == ("null",)
    assert spec.model.outputs == tuple(names)


def test_a_copy_keeps_everything_but_the_model(here):
    source = find_topology("fastestdet")
    where = place("object_detection/mine")
    files = copied_files(
        where,
        source,
        inputs=[tensor("a", (None, 352, 352, 3))],
        outputs=[tensor("b", (None, 22, 22, 85)), tensor("c", None)],
        model=Path("m.pb"),
    )
    write_folder(where.folder, files)
    assert {"decode.py", "q_dataloader.py", "eval_func.py", "mine.yaml"} <= files.keys()
    old, new = load_spec(source.spec_path), load_spec(where.folder / "mine.yaml")
    assert (new.model.name, new.model.inputs, new.model.outputs) == ("mine", ("a",), ("b", "c"))
    assert new.quantization == old.quantization and new.tuning == old.tuning
    assert "photographs of train2017" in files["mine.yaml"]
    assert 'topology="mine"' in files["eval_func.py"]
    assert "fastestdet" not in "".join(text for name, text in files.items() if name[-3:] == ".py")
    assert json.loads(files["expected.json"]) == {
        "metric": "mAP",
        "fp32": None,
        "int8": None,
        "tolerance": None,
        "measured_on": None,
    }


@pytest.mark.parametrize(
    "section",
    ["model: {name: other, framework: tensorflow}\n", "model:\n  name: other\n  # why\n"],
)
def test_copies_of_other_forms_of_yaml(here, section):
    folder = here / "classification" / "other"
    folder.mkdir(parents=True)
    text = f"version: 1.0\n{section}tuning:\n  random_seed: 7\n"
    (folder / "other.yaml").write_text(text)
    where = place("classification/mine")
    taken, given = [tensor("a", (None, 4))], [tensor("b", (None, 4))]
    files = copied_files(
        where, find_topology("other"), inputs=taken, outputs=given, model=Path("m.pb")
    )
    write_folder(where.folder, files)
    spec = load_spec(where.folder / "mine.yaml")
    assert (spec.model.name, spec.model.inputs, spec.tuning.random_seed) == ("mine", ("a",), 7)
    (folder / "other.yaml").write_text("tuning:\n  random_seed: 7\n")
    with pytest.raises(LpotError, match="must have a section 'model:'"):
        copied_files(where, find_topology("other"), inputs=taken, outputs=given, model=Path("m"))


def test_nothing_is_left_of_a_folder_that_cannot_be_written(here, monkeypatch):
    (here / "classification").write_text("a file")
    with pytest.raises(OutputError, match="cannot write classification/mine"):
        write_folder(Path("classification/mine"), {"a": "b"})
    (here / "classification").unlink()

    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OutputError, match="No space left on device"):
        write_folder(Path("classification/mine"), {"a": "b"})
    assert list((here / "classification").iterdir()) == []


def test_templates_are_part_of_the_package():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = tools["package-data"]["lpot_examples"]
    package = ROOT / "lpot_examples"
    packaged = {path for pattern in patterns for path in package.glob(pattern)}
    templates = set(TEMPLATES.iterdir())
    assert len(templates) > 8
    assert templates <= packaged
