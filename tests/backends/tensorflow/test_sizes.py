"""Formulas of sizes agree with what TensorFlow computes."""

import numpy as np
import pytest
from graphs import build, cleaned, compiled, data, ops, placeholder, run

from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.sizes import Sizes
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.simulation import Simulation


def chain(tf, constant, x, seed):
    """A few random steps that change the size, or do not."""
    rng = np.random.default_rng(seed)
    for _ in range(rng.integers(1, 4)):
        kernel, stride, dilation = rng.choice([1, 2, 3]), rng.choice([1, 1, 2, 3]), 1
        padding = str(rng.choice(["SAME", "VALID"]))
        kind = rng.choice(["conv", "dilated", "pool", "pad", "relu", "scale", "explicit"])
        if kind in ("conv", "dilated"):
            if kind == "dilated":
                stride, dilation = 1, 2
            x = tf.nn.conv2d(x, constant(kernel, kernel, 2, 2), stride, padding, "NHWC", dilation)
        elif kind == "explicit":
            pads = [[0, 0], [1, 0], [1, 1], [0, 0]]
            x = tf.nn.conv2d(x, constant(2, 3, 2, 2), stride, pads)
        elif kind == "pool":
            x = tf.nn.max_pool2d(x, kernel, stride, padding)
        elif kind == "pad":
            x = tf.pad(x, [[0, 0], [1, 0], [1, 1], [0, 0]])
        else:
            x = tf.nn.relu(x) if kind == "relu" else x * constant(2)
    return x


def test_equal_formulas_mean_equal_sizes_and_the_usual_ones_are_equal():
    count, equal, unequal = 40, 0, 0

    def function(tf, constant):
        x = placeholder(tf, None, None, 2)
        for index in range(count):
            tf.identity(chain(tf, constant, x, index), name=f"o{index}")

    graph_def = build(function)
    outputs = [f"o{index}" for index in range(count)]
    sizes = Sizes(Graph(graph_def, inputs=("x",), outputs=outputs))
    shapes = [
        [value.shape for value in run(graph_def, outputs, {"x": data(2, *size, 2)})]
        for size in ((19, 20), (24, 23), (33, 30), (21, 37))
    ]
    for one in range(count):
        for other in range(one):
            same = all(found[one] == found[other] for found in shapes)
            if sizes.equal(f"o{one}", f"o{other}"):
                assert same, (one, other)
                equal += 1
            unequal += not same
    assert equal > 20
    assert unequal > 200


def test_a_stride_by_padding_and_one_by_same_are_one_size():
    def function(tf, constant):
        x = placeholder(tf, None, None, 2)
        padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        tf.nn.conv2d(padded, constant(3, 3, 2, 2), 2, "VALID", name="o")
        tf.nn.max_pool2d(x, 1, 2, "SAME", name="p")
        tf.nn.conv2d(x, constant(3, 3, 2, 2), 2, "VALID", name="q")

    sizes = Sizes(Graph(build(function), inputs=("x",), outputs=("o", "p", "q")))
    assert sizes.equal("o", "p")
    assert not sizes.equal("o", "q")


def test_tensors_of_their_own_are_not_equal():
    def function(tf, constant):
        x, y = (placeholder(tf, None, None, 2, name=name) for name in "xy")
        tf.add(tf.nn.relu(x), y, name="o")

    sizes = Sizes(Graph(build(function), inputs=("x", "y"), outputs=("o",)))
    assert not sizes.equal("x", "y")
    assert not sizes.equal("o", "x")


def residual(tf, constant):
    x = placeholder(tf, None, None, 4)
    x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, constant(3, 3, 4, 8), 2, "SAME"), constant(8)))
    for index in range(2):
        stride = 2 if index else 1
        y = tf.nn.relu(tf.nn.conv2d(x, constant(3, 3, 8, 8, scale=0.2), 1, "SAME") + constant(8))
        y = tf.pad(y, [[0, 0], [1, 1], [1, 1], [0, 0]])
        y = tf.nn.conv2d(y, constant(3, 3, 8, 8, scale=0.1), stride, "VALID") + constant(8)
        shortcut = tf.nn.max_pool2d(x, 1, stride, "SAME") if index else x
        x = tf.nn.relu(shortcut + y)
    tf.identity(x, name="o")


def test_residual_sums_are_fused_for_images_of_any_size():
    feed = {"x": data(4, 16, 16, 4)}
    network = compiled(build(residual), feed)
    emitted = network.emit()
    assert len(emitted.plan.sums) == 2
    assert emitted.plan.boundaries == ("x",)
    assert not ops(emitted.graph_def, "AddV2")
    for size in ((16, 16), (17, 11), (24, 30)):
        probe = {"x": data(2, *size, 4, seed=3)}
        assert Simulation(network, emitted).check(probe).worst[1] <= 1
        (fp32,), (int8,) = (run(g, ("o",), probe) for g in (network.graph_def, emitted.graph_def))
        assert sqnr(fp32, int8) > 20


@pytest.mark.parametrize("shape", [(1, 1, 8), (4, 4, 1)])
def test_a_sum_that_broadcasts_is_not_fused(shape):
    def function(tf, constant):
        x = placeholder(tf, None, None, 4)
        y = tf.nn.conv2d(x, constant(3, 3, 4, 8), 1, "SAME")
        tf.nn.relu(y + placeholder(tf, *shape, name="z"), name="o")

    graph, _ = cleaned(build(function), inputs=("x", "z"))
    feed = {"x": data(2, 4, 4, 4), "z": data(2, *shape)}
    network = compiled(graph.to_graph_def(), feed)
    assert all(group.sum_node is None for group in network.grouping.compute.values())
