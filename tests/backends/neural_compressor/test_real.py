"""Neural Compressor itself, where it is installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from lpot_examples import load_model
from lpot_examples.backends.neural_compressor.backend import NeuralCompressorBackend
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.data.digits import load_digits
from lpot_examples.errors import EmitError
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, onednn_enabled

DIGITS = Path(__file__).parents[3] / "classification" / "digits" / "digits.pb"
DEPTHWISE = {f"digits_1/block{block}_depthwise_1/depthwise" for block in (1, 2)}

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("neural_compressor") is None,
        reason="NOT TESTED: Neural Compressor is not installed; run "
        "'pip install -r requirements-neural-compressor.txt'",
    ),
    pytest.mark.skipif(
        not onednn_enabled(), reason="NOT TESTED: its networks need TF_ENABLE_ONEDNN_OPTS=1"
    ),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    backend = NeuralCompressorBackend(
        load_model(DIGITS), INSTRUCTION_SETS["avx2"], version="installed"
    )
    images = load_digits("train").images[:40]
    backend.start(
        tmp_path_factory.mktemp("nc") / "files", [images[:16], images[16:32], images[32:]]
    )
    yield backend
    backend.close()


def accuracy(model):
    digits = load_digits("validation")
    return float((model(digits.images).argmax(1) == digits.labels).mean())


def test_it_follows_the_configuration(backend):
    config = TuningConfig(fp32=frozenset(DEPTHWISE))
    statistics = Statistics({}, 40)
    model = backend.emit(config, statistics)
    assert accuracy(model) >= 0.97
    ops = {node.op for node in model.graph_def.node}
    assert "DepthwiseConv2dNative" in ops
    assert "Conv2D" not in ops
    decisions = backend.explain(config, statistics, dict.fromkeys(DEPTHWISE, "reverted"))
    groups = {d.name: d for d in decisions if d.name == d.group}
    kinds = {d.type: d.precision for d in groups.values()}
    assert kinds == {"Conv2D": "int8", "DepthwiseConv2dNative": "fp32", "MatMul": "int8"}
    assert all("Quantized" in d.reason for d in groups.values() if d.precision == "int8")
    assert {d.name: d.precision for d in decisions}["digits_1/pool_1/MaxPool2d"] == "int8"


def test_all_in_fp32_is_the_network_as_given(backend):
    names = frozenset(group.name for group in backend.op_graph.quantizable)
    model = backend.emit(TuningConfig(fp32=names), Statistics({}, 40))
    assert not [node.name for node in model.graph_def.node if "Quantize" in node.op]
    images = load_digits("validation").images[:16]
    np.testing.assert_allclose(model(images), load_model(DIGITS)(images), atol=1e-4)


def test_another_process_makes_the_same_bytes(backend):
    config, statistics = TuningConfig(fp32=frozenset(DEPTHWISE)), Statistics({}, 40)
    first = backend._make(config, statistics).read_bytes()
    backend._made.clear()
    backend._worker.stop()
    assert backend._make(config, statistics).read_bytes() == first


def test_calibration_samples_matter(backend):
    config = TuningConfig()
    few = backend._make(config, Statistics({}, 20)).read_bytes()
    assert few != backend._make(config, Statistics({}, 40)).read_bytes()


def test_what_it_cannot_do_is_one_clear_reason(backend, monkeypatch):
    monkeypatch.setattr(backend._model, "output_names", ("no_such_output",))
    with pytest.raises(EmitError, match="^Neural Compressor failed: .*no_such_output"):
        backend.emit(TuningConfig(), Statistics({}, 8))
    monkeypatch.undo()
    backend.emit(TuningConfig(), Statistics({}, 24))
