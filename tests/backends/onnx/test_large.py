"""What does not fit one file of protobuf; here the limit is set to a few bytes."""

import numpy as np
import pytest

from lpot_examples.backends.onnx import model as module
from lpot_examples.backends.onnx.framework import backend, files, open_network
from lpot_examples.errors import EmitError
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS
from lpot_examples.testing.onnx_networks import batches, image_network


def opened(path):
    network = open_network(path)
    isa = INSTRUCTION_SETS["avx512_vnni"]
    return network, backend(network, isa, approach="post_training_static_quant")


def test_large_networks(tmp_path, monkeypatch):
    given = image_network()
    expected = open_network(given)(batches(given)[0])
    monkeypatch.setattr(module, "LARGEST", 4000)
    path = open_network(given).save(tmp_path / "m.onnx")
    assert files(path) == (tmp_path / "m.onnx.data",)
    network, made = opened(path)
    np.testing.assert_array_equal(network(batches(given)[0]), expected)
    statistics = made.calibrate(iter(batches(given)), sizes=[12])[12]
    (reference,) = made.references(batches(given)[:1])
    np.testing.assert_allclose(reference.outputs[0], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(EmitError, match="results must fit one file of 2 GB"):
        made.emit(TuningConfig(), statistics)
    monkeypatch.setattr(module, "LARGEST", 1 << 30)  # in eight bits it fits
    int8 = made.emit(TuningConfig(), statistics)
    assert np.abs(int8(batches(given)[0]) - expected).max() < 0.1
    assert {one.name for one in tmp_path.iterdir()} == {"m.onnx", "m.onnx.data"}
