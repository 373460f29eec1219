"""Tuning for a runtime that is not the network's own."""

import pickle

import numpy as np
import onnx
import pytest

from lpot_examples import tune
from lpot_examples.backends.registry import FRAMEWORKS
from lpot_examples.benchmark import runner
from lpot_examples.errors import LpotError
from lpot_examples.runtimes.deployed import chosen_runtime
from lpot_examples.runtimes.openvino_model import OpenVinoModel
from lpot_examples.spec import load_spec
from lpot_examples.testing.onnx_networks import batches, image_network

ONNX, TENSORFLOW = FRAMEWORKS

SPEC = """\
model: {name: net, framework: onnxrt_qdq}
tuning:
  accuracy_criterion: {relative: 0.9}
  exit_policy: {max_trials: 1}
"""


class Agreement:
    """Scores by agreement with fp32, and notes what it was called with."""

    def __init__(self, batch, expected):
        self.batch, self.expected, self.seen = batch, expected, []

    def __call__(self, model):
        self.seen.append(type(model))
        return float(np.mean(model(self.batch).argmax(1) == self.expected))


def test_everything_is_evaluated_on_the_runtime_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked, compare = [], runner.compare

    def noted(*models, runtimes, **options):
        asked.append(runtimes)
        return compare(*models, runtimes=runtimes, **options)

    monkeypatch.setattr(runner, "compare", noted)
    given = image_network()
    onnx.save(given, "net.onnx")
    (tmp_path / "net.yaml").write_text(SPEC)
    images = batches(given)[0]["image"]
    score = Agreement(images, np.zeros(len(images), int))
    score.expected = (
        tune(load_spec("net.yaml"), "net.onnx", [images], benchmark_seconds=0)
        .model(images)
        .argmax(1)
    )
    result = tune(
        load_spec("net.yaml"),
        "net.onnx",
        [images],
        eval_func=score,
        runtime="openvino",
        benchmark_seconds=0.3,
    )
    assert set(score.seen) == {OpenVinoModel}
    assert len(score.seen) >= 2
    assert result.met
    assert result.report["artifacts"][0]["runtime"] == "openvino"
    assert asked == [{"fp32": "openvino", "int8": "openvino"}]
    assert result.report["latency_ms"]["measured"]


def test_the_own_runtime_by_name_is_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = image_network()
    onnx.save(given, "net.onnx")
    (tmp_path / "net.yaml").write_text(SPEC)
    images = batches(given)[0]["image"]
    result = tune(
        load_spec("net.yaml"),
        "net.onnx",
        [images],
        eval_func=lambda model: float(np.mean(model(images))),
        runtime="onnxruntime",
        benchmark_seconds=0.3,
    )
    assert result.report["search"]["latency_map"] is not None


def test_what_opens_files_goes_to_other_processes(tmp_path):
    from lpot_examples.host import INSTRUCTION_SETS
    from lpot_examples.runtimes.deployed import Deployed

    path = tmp_path / "net.onnx"
    onnx.save(image_network(), path)
    isa = INSTRUCTION_SETS["avx512_vnni"]
    own = ONNX.backend(ONNX.open(path), isa, approach="post_training_static_quant")
    backend = Deployed(own, "openvino", source=path)
    model = pickle.loads(pickle.dumps(backend.reader()))(path)
    assert isinstance(model, OpenVinoModel)
    assert backend.op_graph is own.op_graph
    assert backend.latencies(None, None, {}) is None


def test_what_cannot_be_asked_for(monkeypatch):
    assert chosen_runtime(None, ONNX) == chosen_runtime("onnxruntime", ONNX) == "onnxruntime"
    assert chosen_runtime("openvino", ONNX) == "openvino"
    with pytest.raises(LpotError, match=r"--runtime=openvino does not run int8 networks of Tens"):
        chosen_runtime("openvino", TENSORFLOW)
    with pytest.raises(LpotError, match=r"--runtime=tensorflow does not run int8 networks of ONNX"):
        chosen_runtime("tensorflow", ONNX)
    with pytest.raises(LpotError, match="there is no runtime 'openvno'"):
        chosen_runtime("openvno", ONNX)
