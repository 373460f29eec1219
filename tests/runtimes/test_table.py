import importlib.util

import numpy as np
import onnx
import pytest

from lpot_examples.errors import LpotError, ModelError
from lpot_examples.runtimes.table import RUNTIMES, load, own_runtime, runtimes_of
from lpot_examples.testing.onnx_networks import image_network


def test_a_file_is_run_by_its_own_runtime_and_by_others_that_read_it(frozen, eight_bits, tmp_path):
    onnx.save(image_network(), tmp_path / "m.onnx")
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04")
    assert runtimes_of(tmp_path / "m.onnx") == ("onnxruntime", "openvino")
    assert runtimes_of(frozen) == ("tensorflow", "openvino")
    assert runtimes_of(eight_bits) == ("tensorflow",)
    assert runtimes_of(tmp_path / "m.keras") == ("tensorflow",)
    assert own_runtime("anything.ckpt").name == "tensorflow"


def test_every_runtime_gives_the_same_interface(frozen):
    image = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    found = []
    for runtime in (None, "tensorflow", "openvino"):
        model = load(frozen, runtime=runtime, inputs=["image"], outputs=["scores"], threads=1)
        assert (model.input_names, model.output_names) == (("image",), ("scores",))
        assert model.input_spec("image") == ((None, 16, 16, 3), np.dtype(np.float32))
        np.testing.assert_array_equal(model.run(["scores"], {"image": image})[0], model(image))
        found.append(model(image))
        model.close()
    np.testing.assert_allclose(found[2], found[0], atol=1e-5)


def test_what_cannot_be_is_one_sentence(frozen, eight_bits, monkeypatch):
    with pytest.raises(LpotError, match="no runtime 'openvion'. Did you mean 'openvino'"):
        load(frozen, runtime="openvion")
    with pytest.raises(ModelError, match=r"fp32\.pb cannot be run on ONNX Runtime: .* not read"):
        load(frozen, runtime="onnxruntime")
    with pytest.raises(ModelError, match=r"does not know .* int8 ops \(Dequantize, QuantizeV2\)\."):
        load(eight_bits, runtime="openvino")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not RUNTIMES["openvino"].installed
    with pytest.raises(LpotError, match=r"pip install lpot-examples\[openvino\]"):
        load(frozen, runtime="openvino")
