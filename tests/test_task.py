"""Tuning and scoring by a yaml alone, through the commands."""

import json
import pickle
import sys

import pytest
from colours import YAML, write_all

from lpot_examples import cli, task
from lpot_examples.backends.tensorflow.model import load_model
from lpot_examples.errors import DataError, LpotError, ModelError, SpecError
from lpot_examples.quantization import tune
from lpot_examples.spec import load_spec
from lpot_examples.task import Task, open_task
from lpot_examples.zoo import catalogue, prepare


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("colours"))


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """A current directory with a yaml, its data and its network."""
    for name in ("net.pb", "train", "val"):
        (tmp_path / name).symlink_to(made / name)
    (tmp_path / "my.yaml").write_text(YAML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def folder(place):
    """The same as a topology without Python files."""
    home = place / "classification" / "colours"
    home.mkdir(parents=True)
    for name in ("train", "val"):
        (home / name).symlink_to(place / name)
    (home / "colours.pb").symlink_to(place / "net.pb")
    (home / "colours.yaml").write_text(YAML)
    return home


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["lpot_examples", *arguments])
    return cli._run()


def report_of(path):
    return json.loads(path.with_name(f"{path.stem}.report.json").read_text())


def test_a_yaml_and_a_network_are_tuned(monkeypatch, place):
    options = ("--config=my.yaml", "--input_model=net.pb", "--benchmark_seconds=0")
    code, words = run(monkeypatch, "tune", *options, "--output_model=out.pb")
    assert (code, words) == (0, "")
    report = report_of(place / "out.pb")
    assert report["accuracy"]["fp32"] == 1.0
    assert report["accuracy"]["metric"] == "top-1"
    assert report["accuracy"]["samples"] == 24
    assert load_model("out.pb").output_names == ("scores",)


def test_a_folder_without_python_in_a_worker_process(monkeypatch, folder, place):
    options = ("--topology=colours", "--benchmark_seconds=0", "--workers=1", "--limit=20")
    code, words = run(monkeypatch, "tune", *options, "--output_model=out.pb")
    assert (code, words) == (0, "")
    assert report_of(place / "out.pb")["accuracy"]["samples"] == 20


def test_accuracy_by_a_yaml(monkeypatch, place):
    options = ("--config=my.yaml", "--input_model=net.pb", "--mode=accuracy", "--batch_size=5")
    code, words = run(monkeypatch, "benchmark", *options, "--output_json=out.json")
    assert (code, words) == (0, "")
    found = json.loads((place / "out.json").read_text())
    assert found["topology"] == "colours"
    assert found["models"]["net.pb"]["score"] == 1.0


@pytest.mark.parametrize(
    ("edit", "line", "message"),
    [
        (("metric: {topk: 1}", "metric: {topk: {top: 1}}"), 13, "is not an argument of topk"),
        (("metric: {topk: 1}", "iteration: 2"), 12, "evaluation.accuracy needs a metric"),
        (("{root: val}", "{rot: val}"), 17, "Did you mean 'root'"),
        (("{root: train}", "{}"), 8, "root is required"),
        (("{relative: 0.05}", "{higher_is_better: false}"), 21, "must be true for topk"),
        (("metric: {topk: 1}", "metric: {MSE: {compare_label: no}}"), 21, "relative bar allows"),
    ],
)
def test_mistakes_have_their_line(monkeypatch, place, edit, line, message):
    (place / "my.yaml").write_text(YAML.replace(*edit))
    code, words = run(monkeypatch, "tune", "--config=my.yaml", "--input_model=net.pb")
    assert code == 1
    assert message in words
    assert f"my.yaml:{line}: " in words or message == "root is required"
    assert "\n" not in words


def test_what_a_yaml_lacks_is_said(monkeypatch, place):
    head, _, tail = YAML.partition("    dataloader")
    (place / "my.yaml").write_text(head + "evaluation" + tail.partition("\nevaluation")[2])
    code, words = run(monkeypatch, "tune", "--config=my.yaml", "--input_model=net.pb")
    assert code == 1
    assert "my.yaml:3: quantization.calibration needs a dataloader" in words
    code, words = run(monkeypatch, "tune", "--config=my.yaml")
    assert "--input_model is required: no network is known by the name 'colours'" in words


def test_without_an_evaluation_accuracy_is_not_checked(monkeypatch, place, capsys):
    (place / "my.yaml").write_text(YAML[: YAML.index("evaluation")])
    options = ("--config=my.yaml", "--input_model=net.pb", "--benchmark_seconds=0")
    assert run(monkeypatch, "tune", *options) == (0, "")
    assert "accuracy was NOT checked" in capsys.readouterr().err


def test_a_folder_with_neither_file_nor_section(monkeypatch, folder):
    (folder / "colours.yaml").write_text(YAML[: YAML.index("evaluation")])
    code, words = run(monkeypatch, "tune", "--topology=colours")
    assert code == 1
    assert "has neither" in words and "eval_func.py nor evaluation.accuracy" in words


def test_errors_of_a_metric_set_the_sense_of_the_bar(place):
    text = YAML.replace("metric: {topk: 1}", "metric: {MSE: {}}")
    (place / "my.yaml").write_text(text)
    from lpot_examples.from_yaml import metrics_of, with_sense

    spec = load_spec("my.yaml", overrides={"tuning.exit_policy.max_trials": 3})
    lower = with_sense(spec, metrics_of(spec))
    assert lower.tuning.accuracy_criterion.higher_is_better is False
    assert lower.tuning.exit_policy.max_trials == 3
    assert lower.fingerprint() != spec.fingerprint()
    several = {"topk": 1, "MSE": {}}
    overrides = {"evaluation.accuracy.metric": None, "evaluation.accuracy.multi_metrics": several}
    both = load_spec(spec, overrides=overrides)
    given = with_sense(both, metrics_of(both)).evaluation.accuracy.multi_metrics
    assert given["higher_is_better"] == (True, False)
    wrong = load_spec(
        both,
        overrides={
            "evaluation.accuracy.multi_metrics": {**several, "higher_is_better": [1 > 0] * 2}
        },
    )
    with pytest.raises(SpecError, match="must be false for MSE"):
        with_sense(wrong, metrics_of(wrong))


def test_a_task_can_be_sent_to_another_process(folder):
    task = open_task(topology="colours", limit=7).with_model(None)
    copy = pickle.loads(pickle.dumps(task))
    assert copy.eval_func()(load_model("net.pb")).samples == 7


def test_the_identity_of_data_follows_what_matters(folder, place):
    plain = open_task(topology="colours")
    same = open_task(topology="colours", batch_size=9).with_model(place / "net.pb")
    others = [
        open_task(topology="colours", limit=5),
        open_task(topology="colours", dataset_location=place / "val"),
        open_task(config=place / "my.yaml"),
    ]
    identity = plain.data_identity()
    assert same.data_identity() == identity
    assert len({identity, *(other.data_identity() for other in others)}) == 4
    (folder / "q_dataloader.py").write_text("def build(**_): return [1]\n")
    assert plain.data_identity() != identity


def test_python_files_come_before_the_yaml(folder):
    (folder / "q_dataloader.py").write_text("def build(**_): return ['mine']\n")
    found = open_task(topology="colours")
    assert found.q_dataloader() == ["mine"]
    assert found.with_model(None).eval_func().samples == 24


class Catalogued:
    """A stand-in for the catalogue and its downloads."""

    def __init__(self, monkeypatch, name, dataset="imagenet"):
        entry = type("Entry", (), {"dataset": dataset})
        monkeypatch.setattr(catalogue, "CATALOGUE", {name: entry})
        monkeypatch.setattr(prepare, "prepared_model", lambda *_: self.there)
        monkeypatch.setattr(prepare, "prepare_model", self.download)
        self.there = None
        self.asked = []

    def download(self, name, folder):
        self.asked.append((name, folder))
        return folder / name / "net.pb"


def test_where_a_network_comes_from(monkeypatch, folder, place):
    zoo = Catalogued(monkeypatch, "colours")
    found = open_task(topology="colours")
    assert found.with_model(place / "net.pb").model == place / "net.pb"
    assert found.with_model(None).model.name == "colours.pb"
    (folder / "colours.pb").unlink()
    found = open_task(topology="colours")
    assert found.with_model(None).model == task.MODELS / "colours" / "net.pb"
    assert zoo.asked == [("colours", task.MODELS)]
    zoo.there = place / "prepared.pb"
    assert found.with_model(None).model == place / "prepared.pb"
    assert len(zoo.asked) == 1
    zoo.there = None
    assert open_task(config=place / "my.yaml").with_model(None, prepare=lambda *at: at).model == (
        "colours",
        task.MODELS,
    )
    Catalogued(monkeypatch, "another")
    with pytest.raises(ModelError, match="has no embedded model.*README"):
        found.with_model(None)


def test_nothing_is_downloaded_for_data_that_are_not_there(monkeypatch, folder):
    (folder / "colours.pb").unlink()
    zoo = Catalogued(monkeypatch, "colours")
    (folder / "q_dataloader.py").write_text(
        "from lpot_examples.errors import DataError\n\n\n"
        "def build(**_):\n    raise DataError('no photographs')\n"
    )
    with pytest.raises(DataError, match="no photographs"):
        open_task(topology="colours").with_model(None, needs_data=True)
    assert not zoo.asked
    assert open_task(topology="colours").with_model(None).model.name == "net.pb"


def test_where_data_is_looked_for(monkeypatch, folder, place):
    (folder / "colours.pb").unlink()
    (folder / "q_dataloader.py").write_text("def build(**_): return [1]\n")
    Catalogued(monkeypatch, "colours", dataset="coco")
    with pytest.raises(
        DataError, match="prepare_dataset.sh --dataset=coco --output_dir=datasets/coco"
    ):
        open_task(topology="colours")
    assert open_task(topology="colours", needs_data=False).dataset_location is None
    (place / "coco_records").mkdir()
    assert open_task(topology="colours").dataset_location.name == "coco_records"
    (place / "datasets" / "coco").mkdir(parents=True)
    assert open_task(topology="colours").dataset_location.name == "coco"
    given = open_task(topology="colours", dataset_location=place / "val")
    assert given.dataset_location == place / "val"


def test_data_that_are_not_there_are_fetched(monkeypatch, folder, place):
    (folder / "colours.pb").unlink()
    (folder / "q_dataloader.py").write_text("def build(**_): return [1]\n")
    Catalogued(monkeypatch, "colours", dataset="coco")
    asked = []

    def prepare(kind, where):
        asked.append((kind, str(where)))
        return where

    def location():
        task = open_task(topology="colours", prepare_data=prepare)
        return str(task.dataset_location)

    assert location() == "datasets/coco"
    (place / "datasets" / "coco" / "download").mkdir(parents=True)
    assert location() == "datasets/coco"  # begun, and not finished
    assert asked == [("coco", "datasets/coco")] * 2
    (place / "datasets" / "coco" / "summary.json").write_text("{}")
    assert location() == "datasets/coco"
    assert len(asked) == 2


def test_a_yaml_without_a_root_is_given_the_default_place(place):
    text = YAML.replace("ImageFolder: {root: train}", "ImageRecord: {}")
    (place / "my.yaml").write_text(text)
    assert open_task(config=place / "my.yaml").dataset_location is None
    (place / "datasets" / "imagenet").mkdir(parents=True)
    assert open_task(config=place / "my.yaml").dataset_location.name == "imagenet"
    (place / "my.yaml").write_text(YAML)  # it has a root, which the default must not replace
    assert open_task(config=place / "my.yaml").dataset_location is None


def test_a_label_map_is_found_beside_the_yaml(place, monkeypatch):
    from lpot_examples.from_yaml import metrics_of

    (place / "sub").mkdir()
    (place / "sub" / "map.yaml").write_text("cat: 1\n")
    text = YAML.replace("metric: {topk: 1}", "metric: {VOCmAP: {anno_path: map.yaml}}")
    (place / "sub" / "my.yaml").write_text(text)
    assert metrics_of(load_spec("sub/my.yaml"))["VOCmAP"].title == "mAP"
    (place / "sub" / "map.yaml").unlink()
    with pytest.raises(SpecError, match=r"my\.yaml:13: .*anno_path cannot be read: map\.yaml"):
        metrics_of(load_spec("sub/my.yaml"))


def test_a_network_in_memory_is_tuned_by_the_yaml_in_a_worker(place):
    spec = load_spec("my.yaml")
    result = tune(spec, load_model("net.pb"), benchmark_seconds=0, workers=1)
    assert result.met
    assert result.report["accuracy"]["fp32"] == 1.0


def test_without_labels_the_fp32_network_is_compared_with(place):
    text = YAML.replace("metric: {topk: 1}", "metric: {MSE: {compare_label: false}}")
    (place / "my.yaml").write_text(text.replace("relative: 0.05", "absolute: 0.01"))
    result = tune(load_spec("my.yaml"), "net.pb", benchmark_seconds=0)
    assert result.report["accuracy"]["fp32"] == 0
    assert 0 < result.report["accuracy"]["int8"] < 0.01


def test_neither_folder_nor_yaml():
    with pytest.raises(LpotError, match="--topology or --config is required"):
        open_task()
    with pytest.raises(AssertionError):
        _ = Task(
            topology=None, spec=load_spec({"model": {"name": "m", "framework": "tensorflow"}})
        ).found_model
