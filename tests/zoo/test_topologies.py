import sys

import pytest

from lpot_examples.errors import DataError, LpotError
from lpot_examples.zoo.topologies import DOMAINS, find_topology, known_topologies


def write(root, name, *, domain="classification", **files):
    folder = root / domain / name
    folder.mkdir(parents=True)
    (folder / f"{name}.yaml").write_text("version: 1.0\n")
    for stem, text in files.items():
        (folder / f"{stem}.py").write_text(text)
    return folder


BUILD = "def build(*, dataset_location=None, batch_size=1, limit=None):\n"


def test_the_bundled_topologies_are_found():
    found = known_topologies()
    assert {"fastestdet", "squeezenet", "mobilenet_v2"} <= set(found)
    for topology in found.values():
        assert topology.domain in DOMAINS and topology.spec_path.parent == topology.folder


def test_the_current_directory_comes_first(tmp_path, monkeypatch):
    write(tmp_path, "squeezenet")
    (write(tmp_path, "mine", domain="object_detection") / "mine.pb").touch()
    monkeypatch.chdir(tmp_path)
    assert find_topology("squeezenet").folder == tmp_path / "classification" / "squeezenet"
    assert find_topology("mine").embedded_model == find_topology("mine").folder / "mine.pb"
    assert find_topology("mine").domain == "object_detection"
    assert find_topology("squeezenet").embedded_model is None


def test_an_unknown_name_lists_all_and_the_nearest(tmp_path):
    write(tmp_path, "alpha")
    write(tmp_path, "beta")
    with pytest.raises(LpotError, match=r"one of alpha, beta; it is 'alhpa'. Did you mean 'alpha'"):
        find_topology("alhpa", [tmp_path])


def test_arguments_reach_build_and_defaults_stay(tmp_path):
    write(tmp_path, "t", q_dataloader=BUILD + "    return [dataset_location, batch_size]")
    topology = find_topology("t", [tmp_path])
    assert topology.q_dataloader() == [None, 1]
    location, batch_size = topology.q_dataloader(str(tmp_path), batch_size=4)
    assert (location, batch_size) == (tmp_path, 4)


def test_two_topologies_with_equal_file_names_do_not_collide(tmp_path):
    for name in ("one", "two"):
        write(
            tmp_path,
            name,
            decode=f"NAME = {name!r}\n",
            q_dataloader="from decode import NAME\n" + BUILD + "    return [NAME]",
            eval_func=BUILD + "    import decode\n    return lambda model: decode.NAME",
        )
    one, two = (find_topology(name, [tmp_path]) for name in ("one", "two"))
    path, before = list(sys.path), set(sys.modules)
    functions = [one.eval_func(), two.eval_func()]
    assert [one.q_dataloader(), two.q_dataloader()] == [["one"], ["two"]]
    assert [function(None) for function in functions] == ["one", "two"]
    assert sys.path == path
    assert "decode" not in set(sys.modules) - before


def test_a_module_of_the_same_name_that_was_there_stays(tmp_path, monkeypatch):
    outside = type(sys)("decode")
    monkeypatch.setitem(sys.modules, "decode", outside)
    write(
        tmp_path,
        "t",
        decode="NAME = 'inside'\n",
        q_dataloader="from decode import NAME\n" + BUILD + "    return [NAME]",
    )
    assert find_topology("t", [tmp_path]).q_dataloader() == ["inside"]
    assert sys.modules["decode"] is outside


def test_dataclasses_work_in_a_topology(tmp_path):
    text = "from __future__ import annotations\nfrom dataclasses import dataclass, field\n"
    text += "@dataclass\nclass A:\n    x: list[int] = field(default_factory=list)\n"
    write(tmp_path, "t", q_dataloader=text + BUILD + "    return A().x")
    assert find_topology("t", [tmp_path]).q_dataloader() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"q_dataloader.py; it does not exist"),
        ("x = 1\ndef build(:\n", r"q_dataloader.py:2: this is not valid Python"),
        ("x = 1\n", r"q_dataloader.py must define 'def build\(\*, dataset_location=None"),
        ("def build():\n    return []\n", r"q_dataloader.py must accept .*dataset_location"),
        ("\nimport absent_thing\n", r"q_dataloader.py:2: ModuleNotFoundError.*absent_thing"),
        (BUILD + "    return {}['a']\n", r"q_dataloader.py:2: KeyError: 'a'"),
        (BUILD + "    pass\n", "returned None"),
        ("import helper\n", r"helper.py:3: ZeroDivisionError"),
        ("import cut\n", r"cut.py:1: this is not valid Python"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line(tmp_path, text, message):
    files = {} if text is None else {"q_dataloader": text}
    write(tmp_path, "t", helper="\n\n1 / 0\n", cut="(\n", **files)
    path = list(sys.path)
    with pytest.raises(LpotError, match=message):
        find_topology("t", [tmp_path]).q_dataloader()
    assert sys.path == path


def test_errors_for_the_user_pass_unchanged(tmp_path):
    raising = (
        "from lpot_examples.errors import DataError\n" + BUILD + "    raise DataError('no data')"
    )
    write(tmp_path, "t", eval_func=raising)
    with pytest.raises(DataError, match="^no data$"):
        find_topology("t", [tmp_path]).eval_func()


def test_eval_func_must_be_callable(tmp_path):
    write(tmp_path, "t", eval_func=BUILD + "    return 0.5")
    with pytest.raises(LpotError, match="returned float"):
        find_topology("t", [tmp_path]).eval_func()


@pytest.mark.parametrize("name", ["fastestdet", "squeezenet", "mobilenet_v2"])
def test_without_a_dataset_one_message_says_what_to_do(name):
    topology = find_topology(name)
    for build in (topology.q_dataloader, topology.eval_func):
        with pytest.raises(DataError, match=f"run_tuning.sh --topology={name} "):
            build()
