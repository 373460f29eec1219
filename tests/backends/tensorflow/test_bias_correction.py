"""Bias correction takes away what rounding the weights does to the mean of each channel."""

from dataclasses import replace

import numpy as np
import pytest
from graphs import build, compiled, data, placeholder, run

from lpot_examples.graph import TuningConfig

PLAIN, CORRECTED = TuningConfig(), TuningConfig(bias_correction=True)


def convolution(padding="SAME", stride=1, kernel=3, dilation=1):
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        weights = constant(kernel, kernel, 4, 6)
        made = tf.nn.conv2d(x, weights, stride, padding, dilations=dilation, name="op")
        tf.nn.bias_add(made, constant(6), name="o")

    return function


def depthwise(multiplier=1, padding="SAME", stride=1):
    def function(tf, constant):
        x, strides = placeholder(tf, 8, 8, 4), [1, stride, stride, 1]
        weights = constant(3, 3, 4, multiplier)
        made = tf.nn.depthwise_conv2d(x, weights, strides, padding)
        tf.nn.bias_add(made, constant(4 * multiplier), name="o")

    return function


def product(transposed=False):
    def function(tf, constant):
        x = tf.reshape(placeholder(tf, 8, 8, 4), [-1, 256])
        weights = constant(6, 256) if transposed else constant(256, 6)
        made = tf.matmul(x, weights, transpose_b=transposed, name="op")
        tf.nn.bias_add(made, constant(6), name="o")

    return function


OPS = {
    "conv": convolution(),
    "conv_valid": convolution("VALID", stride=2),
    "conv_1x1": convolution(kernel=1),
    "conv_dilated": convolution(dilation=2),
    "conv_explicit": convolution([[0, 0], [2, 0], [0, 3], [0, 0]]),
    "depthwise": depthwise(),
    "depthwise_odd": depthwise(multiplier=2),
    "depthwise_stride": depthwise(stride=2),
    "matmul": product(),
    "matmul_transposed": product(transposed=True),
}


# Three bits make the error of the weights the one that counts.
def errors(network, feed, config):
    """Return each channel's mean error and the step that a code of the output is."""
    (anchor,) = network.grouping.compute
    config = replace(config, weight_bits={anchor: 3})
    emitted = network.emit(config)
    (fp32,), (int8,) = (run(g, ("o",), feed) for g in (network.graph_def, emitted.graph_def))
    mean = (int8.astype(np.float64) - fp32).reshape(-1, fp32.shape[-1]).mean(axis=0)
    encoding = emitted.plan.encodings.get("o")
    return np.abs(mean), encoding.scale if encoding else 1e-3 * np.abs(fp32).max()


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("low", [0.0, -1.0])
def test_the_mean_error_goes_away(name, low):
    """Every tap counts as often as it reads the image, so padded borders are no exception."""
    feed = {"x": data(64, 8, 8, 4, low=low, high=2.0)}
    network = compiled(build(OPS[name]), feed)
    plain, step = errors(network, feed, PLAIN)
    corrected, _ = errors(network, feed, CORRECTED)
    assert plain.max() > step
    assert corrected.max() < 0.2 * plain.max()
    assert corrected.max() < 0.75 * step


@pytest.mark.parametrize("name", ["conv_valid", "conv_1x1", "matmul"])
def test_a_constant_input_becomes_exact(name):
    """The mean is then every value: only the rounding of the output is left."""
    feed = {"x": np.broadcast_to(np.float32([0.5, 1, 1.5, 2]), (2, 8, 8, 4)).copy()}
    network = compiled(build(OPS[name]), feed)
    (anchor,) = network.grouping.compute
    fp32 = run(network.graph_def, ("o",), feed)[0]
    config = replace(CORRECTED, weight_bits={anchor: 3})
    emitted = network.emit(config)
    int8 = run(emitted.graph_def, ("o",), feed)[0]
    encoding = emitted.plan.encodings.get("o")
    # Half a code of the output, and what rounding 1.5 to codes of 2 / 255 adds.
    allowed = 0.5 * encoding.scale if encoding else 0.0
    assert np.abs(int8 - fp32).max() <= allowed + 5e-3 * np.abs(fp32).max()
    plain = run(network.emit(replace(config, bias_correction=False)).graph_def, ("o",), feed)[0]
    assert np.abs(plain - fp32).max() > 3 * np.abs(int8 - fp32).max()


def test_maps_of_one_pixel_have_one_tap():
    """Of a 3 × 3 window on one pixel, eight taps read padding and must not be corrected for."""

    def function(tf, constant):
        x = placeholder(tf, 1, 1, 4)
        tf.nn.conv2d(x, constant(3, 3, 4, 6), 1, "SAME", name="o")

    feed = {"x": data(64, 1, 1, 4, low=0.5, high=2.0)}
    network = compiled(build(function), feed)
    (group,) = network.grouping.compute.values()
    np.testing.assert_array_equal(group.tap_shares, [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    plain, step = errors(network, feed, PLAIN)
    corrected, _ = errors(network, feed, CORRECTED)
    assert plain.max() > step
    assert corrected.max() < 0.6 * step


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "padding"),
    [
        (8, 3, 1, 1, "SAME"),
        (7, 3, 2, 1, "SAME"),
        (8, 5, 2, 1, "SAME"),
        (6, 3, 1, 2, "SAME"),
        (2, 7, 1, 1, "SAME"),
        (9, 3, 3, 1, "VALID"),
        (5, 3, 2, 1, [[0, 0], [3, 1], [0, 4], [0, 0]]),
    ],
)
def test_tap_shares(size, kernel, stride, dilation, padding):
    """A convolution of ones with one tap at a time counts where that tap sees the image."""

    def function(tf, constant):
        x = placeholder(tf, size, size, 1)
        weights = constant(kernel, kernel, 1, 2)
        tf.nn.conv2d(x, weights, stride, padding, dilations=dilation, name="o")

    network = compiled(build(function), {"x": data(1, size, size, 1)})
    (group,) = network.grouping.compute.values()
    import tensorflow as tf

    taps = np.eye(kernel**2, dtype=np.float32).reshape(kernel, kernel, 1, -1)
    ones = np.ones((1, size, size, 1), np.float32)
    counts = tf.nn.conv2d(ones, taps, stride, padding, dilations=dilation).numpy()
    wanted = counts.mean(axis=(0, 1, 2)).reshape(kernel, kernel)
    np.testing.assert_allclose(group.tap_shares, wanted, rtol=1e-6)


def test_unknown_sizes_count_every_tap():
    def function(tf, constant):
        x = tf.compat.v1.placeholder(tf.float32, [None, None, None, 4], "x")
        tf.nn.conv2d(x, constant(3, 3, 4, 6), 1, "SAME", name="o")

    network = compiled(build(function), {"x": data(2, 8, 8, 4)})
    (group,) = network.grouping.compute.values()
    np.testing.assert_array_equal(group.tap_shares, np.ones((3, 3)))


def test_without_statistics_of_the_input_nothing_changes():
    network = compiled(build(convolution()), {"x": data(4, 8, 8, 4)})
    blind = replace(network.statistics, channels={})
    assert network.emitter.emit(CORRECTED, blind).graph_def == network.emit(PLAIN).graph_def
    assert network.emit(CORRECTED).graph_def != network.emit(PLAIN).graph_def


def test_single_groups_can_be_left_uncorrected():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        first = tf.nn.conv2d(x, constant(1, 1, 4, 6), 1, "SAME", name="first")
        tf.nn.conv2d(first, constant(1, 1, 6, 6), 1, "SAME", name="second")

    feed = {"x": data(16, 8, 8, 4, low=0.5, high=2.0)}
    network = compiled(build(function), feed, outputs=("second",))

    def biases(config):
        graph_def = network.emit(config).graph_def
        found = {node.name: node for node in graph_def.node if node.name.endswith("/bias")}
        return {anchor: _only(found, anchor) for anchor in ("first", "second")}

    plain, corrected = biases(PLAIN), biases(CORRECTED)
    one = biases(replace(CORRECTED, uncorrected=frozenset({"first"})))
    assert one == {"first": plain["first"], "second": corrected["second"]}
    assert plain["first"] != corrected["first"] and plain["second"] != corrected["second"]


def _only(nodes, anchor):
    (node,) = [node for name, node in nodes.items() if anchor in name]
    return node.attr["value"].tensor.tensor_content


def test_configurations_of_old_journals_are_still_known():
    """Their digests are the names of what was recorded."""
    assert "uncorrected" not in CORRECTED.to_dict()
    old = {key: value for key, value in CORRECTED.to_dict().items() if key != "uncorrected"}
    assert TuningConfig.from_dict(old) == CORRECTED
    new = replace(CORRECTED, uncorrected=frozenset({"b", "a"}))
    assert new.to_dict()["uncorrected"] == ["a", "b"]
    assert TuningConfig.from_dict(new.to_dict()) == new
    assert new.digest() != CORRECTED.digest()


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_behind_stretched_channels(strength):
    """Weights were multiplied by the channel factors, so the means are divided by them."""

    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        loud = constant(1, 1, 4, 8) * (2.0 ** -np.arange(8)).astype(np.float32)
        y = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, loud, 1, "SAME"), np.full(8, 0.2, "f")))
        tf.nn.conv2d(y, constant(3, 3, 8, 6), 1, "SAME", name="o")

    feed = {"x": data(64, 8, 8, 4, low=-1.0, high=2.0)}
    network = compiled(build(function), feed)
    fp32 = run(network.graph_def, ("o",), feed)[0]
    found = {}
    for corrected in (False, True):
        config = TuningConfig(
            equalization=strength, bias_correction=corrected, weight_bits={"o": 3}
        )
        emitted = network.emit(config)
        assert emitted.plan.factors
        error = run(emitted.graph_def, ("o",), feed)[0].astype(np.float64) - fp32
        found[corrected] = np.abs(error.mean(axis=(0, 1, 2))).max()
    assert found[True] < 0.2 * found[False]
