"""The driver as LPOT users write it, on the embedded digits network."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lpot_examples import EvaluationResult, LpotError, Quantization, load_model
from lpot_examples.data.digits import load_digits
from lpot_examples.errors import ModelError
from lpot_examples.events import Listener
from lpot_examples.testing.compilation import compile_graph

ROOT = Path(__file__).parents[1]
FROZEN = ROOT / "classification" / "digits" / "digits.pb"
YAML = """\
model:
  name: digits
  framework: tensorflow
  inputs: input
  outputs: logits
quantization:
  calibration:
    sampling_size: 20
tuning:
  accuracy_criterion:
    relative: 0.05
"""


class Infer:
    """What an LPOT example's class looks like: iterable, with a method that scores."""

    def __init__(self):
        self.digits = load_digits("validation")

    def __iter__(self):
        images = load_digits("train").images[:60]
        for start in range(0, 60, 10):
            yield images[start : start + 10], None

    def top1(self, logits):
        return float((logits.argmax(1) == self.digits.labels).mean())

    def accuracy_check(self, model):
        return self.top1(model(self.digits.images))

    def by_graph(self, model):
        return np.float32(self._run(model.graph))

    def by_graph_def(self, model):
        import tensorflow as tf

        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(model.graph_def, name="")
        return self._run(graph), np.ones(len(self.digits.labels))

    def result(self, model):
        return EvaluationResult(score=self.accuracy_check(model), metric="top-1")

    def _run(self, graph):
        import tensorflow as tf

        with tf.compat.v1.Session(graph=graph) as session:
            return self.top1(session.run("logits:0", {"input:0": self.digits.images}))


@pytest.fixture
def infer():
    return Infer()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module in ("conclusion", "emission"):
        monkeypatch.setattr(f"lpot_examples.{module}.measure", lambda *_, **__: None)
    (tmp_path / "digits.yaml").write_text(YAML)
    return tmp_path


def test_the_call_of_the_issue(infer, elsewhere):
    quantizer = Quantization("digits.yaml")
    q_model = quantizer(str(FROZEN), q_dataloader=infer, eval_func=infer.accuracy_check)
    q_model.save("tuned.pb")
    assert quantizer.result.met
    np.save("images.npy", infer.digits.images[:40])
    code = """
import sys
sys.modules["lpot_examples"] = None  # importing it raises
import numpy as np, tensorflow as tf
graph_def = tf.compat.v1.GraphDef()
graph_def.ParseFromString(open("tuned.pb", "rb").read())
with tf.Graph().as_default() as graph:
    tf.import_graph_def(graph_def, name="")
    with tf.compat.v1.Session() as session:
        np.save("logits.npy", session.run("logits:0", {"input:0": np.load("images.npy")}))
"""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    found = np.load("logits.npy")
    assert np.mean(found.argmax(1) == infer.digits.labels[:40]) >= 0.95


def test_the_attribute_form(infer):
    quantizer = Quantization("digits.yaml")
    quantizer.model = FROZEN
    quantizer.calib_dataloader = infer
    quantizer.eval_func = infer.by_graph
    q_model = quantizer()
    assert q_model.input_names == ("input",)
    assert quantizer.result.met
    assert isinstance(quantizer.result.report["accuracy"]["fp32"], float)


@pytest.mark.parametrize("form", ["graph", "graph_def", "model"])
def test_every_form_of_model_and_score(infer, form):
    model = load_model(FROZEN)
    given = {"graph": model.graph, "graph_def": model.graph_def, "model": model}[form]
    score = {"graph": infer.by_graph_def, "graph_def": infer.result, "model": infer.by_graph}[form]
    quantizer = Quantization({"model": {"name": "digits", "framework": "tensorflow"}})
    quantizer.q_dataloader = infer
    quantizer(given, eval_func=score)
    assert quantizer.result.met
    assert quantizer.result.report["size_bytes"]["fp32"] > 0


def test_without_eval_func_accuracy_is_not_checked(infer):
    warnings = []

    class Heard(Listener):
        def warning(self, text):
            warnings.append(text)

    quantizer = Quantization("digits.yaml")
    quantizer(FROZEN, q_dataloader=infer, listener=Heard())
    assert quantizer.result.met is None
    assert "accuracy was NOT checked" in warnings[0]


def test_what_is_missing_is_said(infer):
    with pytest.raises(LpotError, match="needs a model"):
        Quantization("digits.yaml")()
    with pytest.raises(LpotError, match="needs calibration data"):
        Quantization("digits.yaml")(FROZEN)
    with pytest.raises(LpotError, match="q_func is for quantization-aware training"):
        Quantization("digits.yaml")(FROZEN, infer, q_func=print)
    with pytest.raises(LpotError, match=r"digits\.yaml: evaluation\.accuracy needs a metric"):
        Quantization("digits.yaml")(FROZEN, infer, eval_dataloader=np.ones((2, 2)))
    with pytest.raises(ModelError, match="got int"):
        Quantization("digits.yaml")(3, infer)


def truncated(path):
    path.write_bytes(FROZEN.read_bytes()[:50_000])


def unfrozen(path):
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef()
    graph_def.node.add(name="input", op="Placeholder").attr["dtype"].type = 1
    graph_def.node.add(name="logits", op="VariableV2")
    path.write_bytes(graph_def.SerializeToString())


BAD_MODELS = {
    "missing": (lambda path: None, "No such file"),
    "empty": (lambda path: path.write_bytes(b""), "not a whole frozen TensorFlow graph"),
    "truncated": (truncated, "not a whole frozen TensorFlow graph"),
    "text": (lambda path: path.write_text("hello there"), "not a whole frozen TensorFlow graph"),
    "folder": (lambda path: path.mkdir(), "holds no network"),
    "unfrozen": (unfrozen, "is not frozen"),
}


@pytest.mark.parametrize("kind", BAD_MODELS)
def test_a_file_that_is_no_frozen_graph(infer, elsewhere, kind):
    make, message = BAD_MODELS[kind]
    path = elsewhere / "bad.pb"
    make(path)
    output = elsewhere / "out.pb"
    output.write_text("good")
    with pytest.raises(ModelError, match=message) as caught:
        Quantization("digits.yaml")(path, infer, eval_func=infer.accuracy_check, output=output)
    assert "\n" not in str(caught.value)
    assert output.read_text() == "good"
    assert not (elsewhere / "lpot_workspace").exists()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("inputs: input", "inputs: image"), "no node for input 'image'. Candidates: input"),
        (("outputs: logits", "outputs: logit"), "Did you mean 'logits'.* Candidates: logits"),
        (
            ("tuning:", "  op_wise: {nosuch: {weight: {dtype: fp32}}}\ntuning:"),
            "digits.yaml:9: no op of the model matches the name 'nosuch'",
        ),
        (("sampling_size", "sampling_sise"), "Did you mean 'sampling_size'"),
    ],
)
def test_names_that_do_not_exist(infer, elsewhere, edit, message):
    (elsewhere / "digits.yaml").write_text(YAML.replace(*edit))
    with pytest.raises(LpotError, match=message):
        Quantization("digits.yaml")(FROZEN, infer, eval_func=infer.accuracy_check)


def test_the_input_is_not_overwritten(infer, elsewhere):
    copy, link = elsewhere / "copy.pb", elsewhere / "link.pb"
    copy.write_bytes(FROZEN.read_bytes())
    link.symlink_to(copy)
    with pytest.raises(LpotError, match="must not be overwritten"):
        Quantization("digits.yaml")(link, infer, output=copy)
    assert copy.read_bytes() == FROZEN.read_bytes()


def test_an_int8_model_is_refused(infer, elsewhere):
    fp32 = load_model(FROZEN)
    ends = {"inputs": fp32.input_names, "outputs": fp32.output_names}
    batches = [{"input": infer.digits.images[:20]}]
    int8 = compile_graph(fp32.graph_def, **ends, batches=batches).emit().graph_def
    (elsewhere / "int8.pb").write_bytes(int8.SerializeToString())
    with pytest.raises(ModelError, match="already quantized"):
        Quantization("digits.yaml")(elsewhere / "int8.pb", infer)


def test_the_result_also_leaves_as_onnx(infer, elsewhere):
    """Of the same decisions, certified on its own, and run without this project."""
    quantizer = Quantization("digits.yaml", emit=("pb", "onnx"))
    quantizer(FROZEN, q_dataloader=infer, eval_func=infer.accuracy_check, output="tuned.pb")
    assert quantizer.result.certified is True
    own, other = quantizer.result.report["artifacts"]
    assert (own["form"], own["runtime"]) == ("pb", "tensorflow")
    assert (other["form"], other["runtime"], other["path"]) == ("onnx", "onnxruntime", "tuned.onnx")
    assert own["groups"] == other["groups"]
    assert other["differences"]["groups"] == other["differences"]["missing"] == []
    assert other["differences"]["decibels"]["between"] > 25
    code = """
import sys
sys.modules["lpot_examples"] = sys.modules["tensorflow"] = None  # importing them raises
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("tuned.onnx")
np.save("logits.npy", session.run(["logits"], {"input": np.load("images.npy")})[0])
"""
    np.save("images.npy", infer.digits.images)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    assert infer.top1(np.load("logits.npy")) == pytest.approx(other["accuracy"]["score"])


def test_an_evaluation_of_the_graph_cannot_score_onnx(infer, elsewhere):
    quantizer = Quantization("digits.yaml", emit=["onnx"])
    quantizer(FROZEN, q_dataloader=infer, eval_func=infer.by_graph)
    assert quantizer.result.met is True
    assert quantizer.result.certified is False
    error = quantizer.result.report["artifacts"][1]["error"]
    assert "must score it by calling it, model(batch)" in error
