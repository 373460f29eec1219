"""Code written for LPOT 1.x, with the package's name changed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from colours import YAML, write_all
from PIL import Image

from lpot_examples import LpotError, load_model
from lpot_examples.experimental import Quantization, common, metric
from lpot_examples.journal import Journal

ROOT = Path(__file__).parents[1]
NO_DATA = YAML[: YAML.index("quantization")] + YAML[YAML.index("tuning") :]
NO_LOADER = NO_DATA + "evaluation: {accuracy: {metric: {topk: 1}}}\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("colours"))


@pytest.fixture(autouse=True)
def place(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lpot_examples.conclusion.measure", lambda *_, **__: None)
    for name in ("net.pb", "train", "val"):
        (tmp_path / name).symlink_to(made / name)
    for name, text in {"alone": YAML, "no_data": NO_DATA, "no_loader": NO_LOADER}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


class Images:
    """A user's data set."""

    def __init__(self, folder, shift=0):
        self.files = sorted(folder.glob("*/*.png"))
        self.classes = sorted({file.parent.name for file in self.files})
        self.shift = shift

    def __getitem__(self, index):
        file = self.files[index]
        pixels = np.asarray(Image.open(file), np.float32) / 255
        return pixels, self.classes.index(file.parent.name) + self.shift

    def __len__(self):
        return len(self.files)


class Right:
    """A user's metric."""

    def __init__(self, scale=1.0):
        self.scale = scale
        self.reset()

    def update(self, preds, labels):
        self.hits.extend(preds.argmax(axis=1) == labels)

    def reset(self):
        self.hits = []

    def result(self):
        return self.scale * float(np.mean(self.hits))


class Unshift:
    """A user's postprocess."""

    def __init__(self, by):
        self.by = by

    def __call__(self, sample):
        preds, labels = sample
        return preds, labels - self.by


def test_the_yaml_alone():
    quantizer = Quantization("alone.yaml")
    quantizer.model = common.Model("net.pb")
    q_model = quantizer.fit()
    q_model.save("tuned.pb")
    assert quantizer.result.met
    assert quantizer.result.report["accuracy"]["fp32"] == 1.0
    assert load_model("tuned.pb")(np.zeros((1, 16, 16, 3), np.float32)).shape == (1, 3)


def test_dataloaders_by_code_and_the_metric_of_the_yaml(place):
    quantizer = Quantization("no_loader.yaml")
    quantizer.model = "net.pb"
    quantizer.calib_dataloader = common.DataLoader(Images(place / "train"), batch_size=4)
    quantizer.eval_dataloader = common.DataLoader(Images(place / "val"), batch_size=5)
    assert quantizer() is not None
    assert quantizer.result.report["accuracy"]["metric"] == "top-1"
    assert quantizer.result.report["accuracy"]["samples"] == 24


@pytest.mark.parametrize("form", ["wrapped", "class", "instance"])
def test_a_metric_and_a_postprocess_of_the_users(place, form):
    quantizer = Quantization("no_data.yaml")
    quantizer.model = common.Model("net.pb")
    quantizer.calib_dataloader = common.DataLoader(Images(place / "train"), batch_size=4)
    quantizer.eval_dataloader = common.DataLoader(Images(place / "val", shift=3), batch_size=4)
    wrapped = common.Metric(Right, "right", scale=0.5)
    quantizer.metric = {"wrapped": wrapped, "class": Right, "instance": Right(0.25)}[form]
    quantizer.postprocess = common.Postprocess(Unshift, by=3) if form == "wrapped" else Unshift(3)
    quantizer()
    fp32 = {"wrapped": 0.5, "class": 1.0, "instance": 0.25}[form]
    assert quantizer.result.report["accuracy"]["fp32"] == fp32


def test_other_arguments_of_a_metric_are_another_run(place, monkeypatch):
    seen = []
    start = Journal.__init__

    def watched(self, path, identity):
        seen.append(identity["data"])
        start(self, path, identity)

    monkeypatch.setattr(Journal, "__init__", watched)
    for scale in (1.0, 1.0, 0.5):
        quantizer = Quantization("no_data.yaml")
        quantizer.metric = common.Metric(Right, scale=scale)
        loader = common.DataLoader(Images(place / "val"), batch_size=8)
        quantizer("net.pb", q_dataloader=loader, eval_dataloader=loader)
    assert seen[0] == seen[1] != seen[2]


def test_what_lpot_offers_beside():
    quantizer = Quantization("no_data.yaml")
    image, label = quantizer.dataset("dummy", shape=(5, 16, 16, 3), label=True)[0]
    assert (image.shape, label) == ((16, 16, 3), 0)
    model = common.Model("net.pb")
    assert [node.name for node in model.graph_def.node][0] == "image"
    assert model.output_names == ("scores",)
    found = metric.METRICS("tensorflow")["topk"](k=5)
    found.update(np.eye(8, dtype=np.float32), np.arange(8))
    assert found.result() == 1.0
    assert "topk" in metric.METRICS() and "x" not in metric.METRICS()


def test_what_is_not_here_says_why():
    import lpot_examples.experimental as experimental

    with pytest.raises(AttributeError, match="run_benchmark.sh"):
        _ = experimental.Benchmark
    with pytest.raises(AttributeError, match="pruning is another job"):
        _ = experimental.Pruning
    assert {"Quantization", "common", "data", "metric"} <= set(dir(experimental))


def test_what_is_missing_is_said(place):
    with pytest.raises(LpotError, match=r"write quantization\.calibration\.dataloader"):
        Quantization("no_data.yaml")("net.pb")
    loader = common.DataLoader(Images(place / "val"))
    quantizer = Quantization("no_data.yaml")
    with pytest.raises(LpotError, match=r"no_data\.yaml: evaluation\.accuracy needs a metric"):
        quantizer("net.pb", q_dataloader=loader, eval_dataloader=loader)
    quantizer.metric = Right
    with pytest.raises(LpotError, match="needs a dataloader"):
        quantizer("net.pb", q_dataloader=loader)
    quantizer.metric = Images(place / "val")
    with pytest.raises(LpotError, match="lacks update, reset, result"):
        quantizer("net.pb", q_dataloader=loader, eval_dataloader=loader)


def test_importing_the_names_loads_no_framework():
    code = (
        "import sys\nfrom lpot_examples.experimental import Quantization, common\n"
        "print(sorted({'numpy', 'tensorflow', 'PIL'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr
