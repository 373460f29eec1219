"""Loops, conditionals and post-processing around a network stay as they are."""

import numpy as np
import pytest
from graphs import build, compiled, data, ops, placeholder, run

from lpot_examples.backends.tensorflow.control_flow import conditional_nodes
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.simulation import Simulation


@pytest.fixture(autouse=True)
def tf1_control_flow():
    """TF1 control flow: Enter, Exit, Switch and Merge nodes instead of functions."""
    tf = import_tensorflow()
    tf.compat.v1.disable_control_flow_v2()
    yield
    tf.compat.v1.enable_control_flow_v2()


def trunk(tf, constant, x):
    y = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, constant(3, 3, 4, 8), 1, "SAME"), constant(8)))
    return tf.nn.bias_add(tf.nn.conv2d(y, constant(3, 3, 8, 4), 1, "SAME"), constant(4))


def loop_behind(tf, constant):
    y = trunk(tf, constant, placeholder(tf, 8, 8, 4))
    weights = constant(1, 1, 4, 4)

    def body(i, v):
        gain = tf.nn.relu(constant(4) * tf.constant(0.5)) + 1.0
        return i + 1, tf.nn.conv2d(v, weights, 1, "SAME") * gain

    result = tf.compat.v1.while_loop(lambda i, v: i < 3, body, [tf.constant(0), y])
    tf.identity(result[1], name="o")


def conditional_in_a_loop(tf, constant):
    y = trunk(tf, constant, placeholder(tf, 8, 8, 4))
    weights = constant(1, 1, 4, 4)

    def body(i, v):
        chosen = tf.compat.v1.cond(i > 1, lambda: v * 0.5, lambda: tf.nn.relu(v))
        return i + 1, tf.nn.conv2d(chosen, weights, 1, "SAME") + 0.1

    tf.identity(tf.compat.v1.while_loop(lambda i, v: i < 4, body, [0, y])[1], name="o")


def conditional_around_a_convolution(tf, constant):
    x = placeholder(tf, 8, 8, 4)
    y = trunk(tf, constant, x)
    weights = constant(3, 3, 4, 4)
    z = tf.compat.v1.cond(
        tf.reduce_mean(x) > 5.0,
        lambda: tf.nn.conv2d(y, weights, 1, "SAME") * constant(4),
        lambda: tf.identity(y),
    )
    tf.nn.relu(tf.nn.conv2d(z, constant(1, 1, 4, 4), 1, "SAME"), name="o")


GRAPHS = (loop_behind, conditional_in_a_loop, conditional_around_a_convolution)


@pytest.mark.parametrize("function", GRAPHS, ids=lambda function: function.__name__)
def test_only_the_trunk_changes(function):
    graph_def, feed = build(function), {"x": data(4, 8, 8, 4)}
    inside = conditional_nodes(Graph(graph_def, inputs=("x",), outputs=("o",)))
    assert inside
    network = compiled(graph_def, feed)
    emitted = network.emit()
    assert len(ops(emitted.graph_def, "_FusedQuantizedConv2D")) == 2 + (
        function is conditional_around_a_convolution
    )
    original = {node.name: node for node in network.graph_def.node}
    result = {node.name: node for node in emitted.graph_def.node}
    for name in inside:
        if name in original:
            assert result[name] == original[name]
    probe = {"x": data(3, 8, 8, 4, seed=5)}
    assert Simulation(network, emitted).check(probe).worst[1] <= 1
    (fp32,), (int8,) = (run(g, ("o",), probe) for g in (graph_def, emitted.graph_def))
    assert sqnr(fp32, int8) > 25


@pytest.mark.parametrize("function", GRAPHS, ids=lambda function: function.__name__)
def test_groups_inside_name_the_reason(function):
    network = compiled(build(function), {"x": data(4, 8, 8, 4)})
    reasons = {group.reason for group in network.grouping.described if not group.quantizable}
    wanted = "a conditional" if function is conditional_around_a_convolution else "a loop"
    assert reasons == {f"inside {wanted}, where ranges cannot be calibrated"}


def test_nodes_behind_an_inner_conditional_are_still_in_the_loop():
    graph = Graph(build(conditional_in_a_loop), inputs=("x",), outputs=("o",))
    inside = conditional_nodes(graph)
    convolutions = [node.name for node in graph if node.op == "Conv2D"]
    assert [name for name in convolutions if name in inside] == convolutions[2:]
    assert inside[convolutions[2]] == "a loop"
    assert "o" not in inside


def detector(tf, constant):
    image = tf.compat.v1.placeholder(tf.uint8, [None, 16, 16, 3], "x")
    x = (tf.cast(image, tf.float32) - 127.5) / 127.5
    x = tf.nn.relu(tf.nn.conv2d(x, constant(3, 3, 3, 8), 2, "SAME"))
    boxes = tf.reshape(tf.nn.conv2d(x, constant(1, 1, 8, 4), 1, "SAME"), [-1, 64, 4])
    scores = tf.nn.sigmoid(tf.reshape(tf.nn.conv2d(x, constant(1, 1, 8, 1), 1, "SAME"), [-1, 64]))
    corners = tf.concat([boxes[0, :, :2], boxes[0, :, :2] + tf.exp(boxes[0, :, 2:])], 1)
    kept = tf.image.non_max_suppression(corners, scores[0], 10, 0.5)
    tf.gather(corners, kept, name="o")
    tf.gather(scores[0], kept, name="p")
    tf.identity(kept, name="kept")


def test_a_detector_with_uint8_input_and_non_maximum_suppression():
    rng = np.random.default_rng(0)
    feed = {"x": rng.integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)}
    graph_def, outputs = build(detector), ("o", "p", "kept")
    network = compiled(graph_def, feed, outputs=outputs)
    emitted = network.emit()
    result = {node.name: node for node in emitted.graph_def.node}
    for node in network.graph_def.node:
        if "non_max" in node.name.lower() or node.op in ("Cast", "Placeholder", "Sigmoid", "Exp"):
            assert result[node.name] == node
    assert len(ops(emitted.graph_def, "_FusedQuantizedConv2D")) == 3
    assert run(emitted.graph_def, outputs, feed)[2].dtype == np.int32
    deviation = Simulation(network, emitted).check(feed)
    assert deviation.worst[1] <= 1
    for got, wanted in zip(deviation.outputs, deviation.forced, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)
