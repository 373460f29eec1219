"""Conversion of frozen graphs: the same values under the same names, or one clear sentence."""

import builtins
import logging

import numpy as np
import pytest

from lpot_examples.backends.onnx.clean import clean
from lpot_examples.backends.onnx.conversion.from_tensorflow import (
    convert,
    convert_tracked,
    require_converter,
)
from lpot_examples.backends.onnx.model import OnnxModel
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import LpotError, ModelError
from lpot_examples.testing.detectors import _tf1_control_flow


def build(function):
    tf, rng = import_tensorflow(), np.random.default_rng(7)
    graph = tf.Graph()
    with graph.as_default():
        function(tf, lambda *shape: tf.constant(rng.normal(0, 0.3, shape).astype(np.float32)))
    return graph.as_graph_def()


def image(tf, *shape, name="x"):
    return tf.compat.v1.placeholder(tf.float32, [None, *shape], name)


def images(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def enlarged(tf, constant):
    x = image(tf, 6, 6, 3)
    y = tf.nn.bias_add(tf.nn.conv2d(x, constant(3, 3, 3, 4), 1, "SAME"), constant(4))
    y = tf.compat.v1.image.resize_nearest_neighbor(y, [12, 12], half_pixel_centers=True)
    tf.identity(tf.nn.conv2d(y, constant(1, 1, 4, 2), 1, "SAME"), "o")
    tf.reduce_mean(y, [1, 2], name="means")


@pytest.mark.parametrize("count", [1, 3])
def test_the_same_values_under_the_same_names(count):
    model = TensorFlowModel(build(enlarged), inputs=["x"], outputs=["means", "o:0"])
    before = model.graph_def.SerializeToString(deterministic=True)
    found = OnnxModel(convert(model))
    assert model.graph_def.SerializeToString(deterministic=True) == before
    assert found.input_names == ("x",)
    assert found.output_names == ("means", "o")
    assert found.input_spec("x") == ((None, 6, 6, 3), np.float32)
    x = images(count, 6, 6, 3)
    for one, two in zip(model(x), found(x), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)
    assert [one.domain for one in found.proto.opset_import] == [""]
    # The old mode has no meaning in newer opsets, where ONNX Runtime warns of it.
    assert b"tf_half_pixel_for_nn" not in found.proto.SerializeToString()


def test_inputs_keep_their_order():
    def two(tf, constant):
        b, a = image(tf, 4, name="b"), image(tf, 4, name="a")
        tf.identity(tf.matmul(b, constant(4, 4)) - a, "o")

    model = TensorFlowModel(build(two), inputs=["a", "b"])
    assert OnnxModel(convert(model)).input_names == ("a", "b")


def test_a_padding_that_two_read_becomes_a_part_of_each():
    def padded(tf, constant):
        x = tf.nn.relu(tf.nn.conv2d(image(tf, 8, 8, 3), constant(1, 1, 3, 4), 1, "VALID"))
        y = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        one = tf.nn.conv2d(y, constant(3, 3, 4, 4), 2, "VALID")
        tf.identity(one + tf.nn.avg_pool2d(y, 3, 2, "VALID"), "o")

    model = TensorFlowModel(build(padded))
    proto = convert(model)
    cleaned = clean(proto, outputs=model.output_names, source="it")
    assert "Pad" not in [node.op_type for node in cleaned.graph.node]
    x = images(2, 8, 8, 3)
    np.testing.assert_allclose(OnnxModel(cleaned)(x), model(x), rtol=1e-4, atol=1e-5)


def test_inner_tensors_are_found():
    def shared(tf, constant):
        x = image(tf, 8, 8, 3)
        y = tf.nn.bias_add(tf.nn.conv2d(x, constant(3, 3, 3, 5), 1, "SAME"), constant(5), name="a")
        z = tf.nn.relu(y, "b")
        w = tf.nn.depthwise_conv2d(z, constant(3, 3, 5, 1), [1, 2, 2, 1], "SAME")
        w = tf.nn.bias_add(w, constant(5), name="c")
        tf.nn.relu6(tf.concat([w, tf.nn.max_pool2d(z, 2, 2, "SAME", name="d")], 3), "o")

    model = TensorFlowModel(build(shared), inputs=["x"])
    found = convert_tracked(model, ["b", "c", "d"])
    assert set(found.names.values()) >= {"b", "c", "d", "x", "o"}
    network, x = OnnxModel(found.proto), images(2, 8, 8, 3)
    assert network.output_names == ("o",)
    for name, tensor in found.names.items():
        if name != "x":
            (one,), (two,) = model.run([tensor], x), network.run([name], x)
            two = two if two.shape == one.shape else np.moveaxis(two, 1, -1)
            np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5, err_msg=f"{name} {tensor}")
    # Looking for tensors leaves nothing behind: cleaned, the ops are those of a plain conversion.
    plain, tracked = (
        clean(proto, outputs=("o",), source="it") for proto in (convert(model), found.proto)
    )
    kinds = [node.op_type for node in plain.graph.node]
    assert sorted(kinds) == sorted(node.op_type for node in tracked.graph.node)


def test_inner_tensors_that_loops_read_are_found():
    """Bodies of TF1's loops read them from outside."""

    def looped(tf, constant):
        x = image(tf, 4)
        y = tf.nn.relu(tf.matmul(x, constant(4, 4)), "y")
        start = (tf.constant(0), tf.zeros_like(y))
        with _tf1_control_flow(tf):
            loop = tf.compat.v1.while_loop(
                lambda i, _: i < 3, lambda i, z: (i + 1, tf.math.tanh(z) + y), start
            )
        tf.identity(loop[1], "o")

    model = TensorFlowModel(build(looped), inputs=["x"], outputs=["o"])
    found = convert_tracked(model, ["y"])
    (inner,) = [name for name, tensor in found.names.items() if tensor == "y"]
    network, x = OnnxModel(found.proto), images(2, 4)
    np.testing.assert_allclose(network(x), model(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network.run([inner], x), model.run(["y"], x), rtol=1e-4, atol=1e-5)


def test_an_op_without_a_form_is_named(caplog, capfd):
    def odd(tf, constant):
        x = image(tf, 4)
        y = tf.raw_ops.Betainc(a=tf.abs(x), b=tf.abs(x) + 1, x=tf.sigmoid(x), name="odd")
        tf.identity(tf.matmul(y, constant(4, 2)), "o")

    model = TensorFlowModel(build(odd), inputs=["x"], source="net.pb")
    with caplog.at_level(logging.WARNING), pytest.raises(ModelError) as told:
        convert(model)
    assert "net.pb cannot become an .onnx file: its op Betainc (node 'odd') has no form" in str(
        told.value
    )
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_an_input_that_nothing_depends_on_stays():
    def lonely(tf, constant):
        image(tf, 2, name="unused")
        tf.matmul(image(tf, 4), constant(4, 2), name="o")

    model = TensorFlowModel(build(lonely), inputs=["unused", "x"], outputs=["o"])
    assert OnnxModel(convert(model)).input_names == ("unused", "x")


def test_a_missing_converter_is_told(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "tf2onnx":
            raise ImportError("No module named 'tf2onnx'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(LpotError, match="pip install tf2onnx"):
        require_converter()
