import numpy as np
import onnx
import pytest

from lpot_examples.errors import LpotError
from lpot_examples.runtimes.artifacts import artifacts
from lpot_examples.runtimes.table import load
from lpot_examples.testing.onnx_networks import image_network

ALL = ("tensorflow", "onnxruntime", "openvino")


def test_networks_times_runtimes(frozen, eight_bits, tmp_path):
    onnx.save(image_network(), tmp_path / "m.onnx")
    models = {"fp32.pb": frozen, "int8.pb": eight_bits, "m.onnx": tmp_path / "m.onnx"}
    told = []
    found = artifacts(models, ALL, folder=tmp_path, tell=told.append)
    assert [one.name for one in found] == [f"{m} on {r}" for m in models for r in ALL]
    assert [bool(one.reason) for one in found] == [
        *[False] * 3,
        *[False, True, True],
        True,
        *[0] * 2,
    ]
    assert {one.precision for one in found if one.label == "int8.pb"} == {"int8"}
    assert "int8 ops (Dequantize, QuantizeV2)" in found[4].reason
    assert found[6].reason == "TensorFlow does not read .onnx files."
    # Converted where that is needed, and nowhere else.
    assert [one.note != "" for one in found] == [False, True, *[False] * 7]
    assert told == ["Converting fp32.pb to ONNX for ONNX Runtime…"]
    assert found[1].file.parent == tmp_path and "tf2onnx" in found[1].note
    assert all(one.file == one.model for one in found if not one.note)
    image = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    results = [load(one.file, runtime=one.runtime)(image)[1] for one in found[:3]]
    for one in results[1:]:
        np.testing.assert_allclose(one, results[0], atol=1e-5)


def test_other_formats_are_frozen_first(tmp_path):
    import tensorflow as tf

    x = tf.keras.layers.Input((4,))
    tf.keras.Model(x, tf.keras.layers.Dense(3)(x)).save(tmp_path / "m.keras")
    models = {"m.keras": tmp_path / "m.keras"}
    found = artifacts(models, ["openvino", "tensorflow"], folder=tmp_path)
    assert [(one.reason, one.note) for one in found] == [("", "frozen"), ("", "")]
    batch = np.random.default_rng(0).random((2, 4), np.float32)
    one, other = (load(a.file, runtime=a.runtime)(batch) for a in found)
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_each_has_its_own_runtime_when_none_is_asked_for(frozen, tmp_path):
    (one,) = artifacts({"fp32.pb": frozen}, folder=tmp_path)
    assert (one.runtime, one.title) == ("tensorflow", "fp32.pb on TensorFlow")
    with pytest.raises(LpotError, match="no runtime 'onnx'"):
        artifacts({"fp32.pb": frozen}, ["onnx"], folder=tmp_path)
