"""Passes that lengthen the int8 trunk: same outputs, reasons to decline, no broken trunk."""

import numpy as np
import pytest
from graphs import assert_equal_outputs, build, cleaned, compiled, data, ops, placeholder

from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.passes.trunk import Trunk
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.graph import TuningConfig
from lpot_examples.testing.simulation import Simulation

FEED = {"x": data(3, 8, 8, 4)}
SEQUENCE = {"x": data(3, 5, 8)}
PASSES = ("affine_to_depthwise", "mean_to_depthwise", "products_to_matmul")


def check(function, *, outputs=("o",), feed=FEED, applied=None):
    """Check that the outputs stay, and how often one pass did something."""
    graph_def = build(function)
    graph, report = cleaned(graph_def, outputs=outputs, inputs=tuple(feed))
    result = graph.to_graph_def()
    assert_equal_outputs(graph_def, result, outputs, feed)
    if applied is not None:
        assert {name: report.applied[name] for name in PASSES if report.applied[name]} == applied
    return graph, report


def conv(tf, constant, x, channels=4, kernel=3, stride=1, name=None):
    weights = constant(kernel, kernel, int(x.shape[3]), channels)
    return tf.nn.bias_add(tf.nn.conv2d(x, weights, stride, "SAME"), constant(channels), name=name)


def norm(tf, constant, x, training=False):
    channels = int(x.shape[3])
    scale, shift, mean = constant(channels), constant(channels), constant(channels)
    return tf.compat.v1.nn.fused_batch_norm(
        x, scale, shift, mean, tf.abs(constant(channels)) + 0.4, is_training=training
    )[0]


def affine(tf, constant, x):
    return x * constant(1, 1, 1, int(x.shape[3])) - constant(int(x.shape[3]))


def dense(tf, constant, x, features=6):
    return tf.matmul(x, constant(int(x.shape[-1]), features)) + constant(features)


# Networks in small, by name: each is one unbroken trunk behind its input.


def resnet_v2(tf, constant):
    x = conv(tf, constant, placeholder(tf, 8, 8, 4), 8)
    for number in range(2):
        y = tf.nn.relu(norm(tf, constant, x))
        y = tf.nn.relu(conv(tf, constant, y, 8, kernel=1))
        x = x + conv(tf, constant, y, 8)
        x = tf.nn.max_pool2d(x, 2, 2, "SAME") if number else x
    x = tf.nn.relu(norm(tf, constant, x))
    tf.identity(dense(tf, constant, tf.reduce_mean(x, [1, 2])), name="o")


def densenet(tf, constant):
    x = tf.nn.relu(conv(tf, constant, placeholder(tf, 8, 8, 4), 8))
    for _ in range(2):
        y = tf.nn.relu(affine(tf, constant, x))
        y = tf.nn.relu(conv(tf, constant, y, 8, kernel=1))
        x = tf.concat([x, conv(tf, constant, y, 4)], 3)
    y = conv(tf, constant, tf.nn.relu(norm(tf, constant, x)), 6, kernel=1)
    x = tf.nn.relu(norm(tf, constant, tf.nn.avg_pool2d(y, 2, 2, "VALID")))
    tf.identity(dense(tf, constant, tf.reduce_mean(x, [1, 2])), name="o")


def darknet(tf, constant):
    def layer(x, channels, kernel=3, stride=1):
        x = norm(tf, constant, conv(tf, constant, x, channels, kernel, stride))
        return tf.nn.leaky_relu(x, 0.1)

    x = layer(placeholder(tf, 8, 8, 4), 8)
    route = layer(x, 8, stride=2)
    x = tf.concat([route, layer(layer(route, 4, 1), 8)], 3)
    x = layer(tf.compat.v1.image.resize_nearest_neighbor(layer(x, 4, 1, 2), [4, 4]), 4)
    tf.identity(conv(tf, constant, tf.concat([x, route], 3), 5, 1), name="o")


def mobilenet_v1(tf, constant):
    x = tf.nn.relu6(norm(tf, constant, conv(tf, constant, placeholder(tf, 8, 8, 4), 8, stride=2)))
    for _ in range(2):
        x = tf.nn.depthwise_conv2d(x, constant(3, 3, 8, 1), [1] * 4, "SAME")
        x = tf.nn.relu6(norm(tf, constant, x))
        x = tf.nn.relu6(norm(tf, constant, conv(tf, constant, x, 8, kernel=1)))
    x = conv(tf, constant, tf.nn.avg_pool2d(x, 4, 1, "VALID"), 6, kernel=1)
    tf.identity(tf.nn.softmax(tf.squeeze(x, [1, 2])), name="o")


NETWORKS = (resnet_v2, densenet, darknet, mobilenet_v1)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda function: function.__name__)
def test_a_trunk_has_one_boundary_and_equals_its_simulation(network):
    check(network)
    compilation = compiled(build(network), FEED)
    for equalization in (0.0, 0.5):
        config = TuningConfig(equalization=equalization)
        emitted = compilation.emit(config)
        assert emitted.plan.boundaries == ("x",)
        assert len(ops(emitted.graph_def, "QuantizeV2")) == 1
        assert len(ops(emitted.graph_def, "Dequantize")) <= 1
        assert set(emitted.plan.groups) == set(compilation.grouping.compute)
        sums = [group for group in compilation.grouping.compute.values() if group.sum_node]
        assert emitted.plan.sums == {group.anchor for group in sums}
        assert Simulation(compilation, emitted, config).check(FEED).worst[1] <= 1


# Per-channel arithmetic


def behind_a_shared_value(tf, constant, step):
    """A convolution's value is read twice, so that nothing can be folded into its weights."""
    x = conv(tf, constant, placeholder(tf, 8, 8, 4))
    y = conv(tf, constant, tf.nn.relu(step(tf, constant, x)))
    tf.add(y, x, name="o")


STEPS = {
    "batch_norm": norm,
    "chain": affine,
    "one": lambda tf, constant, x: x * constant(4),
    "scalar": lambda tf, constant, x: x * 0.7,
    "of_rank_two": lambda tf, constant, x: x + constant(1, 4),
    "from_a_constant": lambda tf, constant, x: constant(4) - x,
    "divided": lambda tf, constant, x: x / (tf.abs(constant(4)) + 0.5),
    "biased": lambda tf, constant, x: tf.nn.bias_add(x * constant(4), constant(4)),
}


@pytest.mark.parametrize("step", STEPS)
def test_per_channel_arithmetic_becomes_a_depthwise_convolution(step):
    graph, _ = check(
        lambda tf, constant: behind_a_shared_value(tf, constant, STEPS[step]),
        applied={"affine_to_depthwise": 1},
    )
    assert len([node for node in graph if node.op == "DepthwiseConv2dNative"]) == 1


LEFT_ALONE = {
    "per_pixel": lambda tf, constant, x: x * constant(1, 8, 8, 1),
    "variable": lambda tf, constant, x: x * tf.reduce_max(x, [1, 2], keepdims=True),
    "divides_a_constant": lambda tf, constant, x: 1.0 / (x * x + 1.0),
    "of_rank_five": lambda tf, constant, x: (x + constant(1, 1, 1, 1, 4))[0],
    "training": lambda tf, constant, x: norm(tf, constant, x, training=True),
    "hard_swish": lambda tf, constant, x: x * tf.nn.relu6(x + 3.0) / 6.0,
    "swish": lambda tf, constant, x: x * tf.sigmoid(x),
}


@pytest.mark.parametrize("step", LEFT_ALONE)
def test_other_arithmetic_is_left_alone(step):
    behind = LEFT_ALONE[step]
    check(lambda tf, constant: behind_a_shared_value(tf, constant, behind), applied={})


def test_arithmetic_in_front_of_the_first_convolution_is_left_alone():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4) * constant(4) + 0.5
        tf.identity(conv(tf, constant, tf.nn.relu(x)), name="o")

    check(function, applied={})


def test_arithmetic_with_no_kernel_behind_it_is_left_alone():
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf, 8, 8, 4))
        tf.add(tf.nn.relu(affine(tf, constant, x)), tf.sigmoid(x), name="o")

    check(function, applied={})


def test_constants_that_are_not_finite_are_a_reason():
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf, 8, 8, 4))
        y = conv(tf, constant, tf.nn.relu(tf.multiply(x, np.float32(np.inf), name="infinite")))
        tf.add(y, x, name="o")

    report = cleaned(build(function))[1]
    assert report.applied["affine_to_depthwise"] == 0
    assert report.declined == {"infinite": "its constants are not finite"}


def test_an_output_ends_a_chain_and_keeps_its_name():
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf, 8, 8, 4))
        scaled = tf.multiply(x, constant(4), name="scaled")
        shifted = tf.add(scaled, constant(4), name="shifted")
        tf.add(conv(tf, constant, tf.nn.relu(shifted)), x, name="o")

    graph, _ = check(
        function, outputs=("o", "scaled", "shifted"), applied={"affine_to_depthwise": 1}
    )
    assert {"scaled", "shifted"} <= set(graph.nodes)


def test_a_chain_with_two_readers_keeps_both():
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf, 8, 8, 4))
        scaled = x * constant(4)
        tf.add(conv(tf, constant, tf.nn.relu(scaled + 0.3)) + x, tf.sigmoid(scaled), name="o")

    check(function)


def test_what_is_fed_is_left_alone():
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf, 8, 8, 4))
        gain = tf.constant([1.0, 2.0, 3.0, 4.0], name="gain")
        scaled = tf.multiply(tf.multiply(x, gain), 2.0, name="fed")
        tf.add(conv(tf, constant, tf.nn.relu(scaled + 0.3)), x, name="o")

    feed = {**FEED, "fed": data(3, 8, 8, 4, seed=1)}
    graph, _ = check(function, feed=feed)
    assert "fed" in graph.nodes
    check(function, feed={**FEED, "gain": np.float32([4, 3, 2, 1])}, applied={})


def test_control_edges_of_all_three_are_kept():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        y = conv(tf, constant, x)
        guards = [
            tf.debugging.Assert(tf.reduce_all(x < bound), [x], name=f"guard{bound}")
            for bound in (9.0, 8.0, 7.0)
        ]
        with tf.control_dependencies([guards[0]]):
            scaled = tf.raw_ops.Mul(x=y, y=constant(4))
        z = conv(tf, constant, tf.nn.relu(scaled)) + y
        with tf.control_dependencies([guards[1]]):
            mean = tf.raw_ops.Mean(input=z, axis=[1, 2])
        sequence = tf.reshape(conv(tf, constant, tf.reshape(mean, [-1, 1, 1, 4])), [-1, 2, 2])
        product = tf.matmul(sequence, constant(2, 3))
        with tf.control_dependencies([guards[2]]):
            tf.raw_ops.AddV2(x=product, y=constant(3), name="o")

    graph, _ = check(function, applied=dict.fromkeys(PASSES, 1))
    waited = {source for node in graph for source in node.input if source.startswith("^")}
    assert len(waited) == 3


@pytest.mark.parametrize("version", [1, 2])
def test_nothing_changes_inside_conditionals(version):
    tf = import_tensorflow()

    def function(tf, constant):
        y = conv(tf, constant, placeholder(tf, 8, 8, 4))
        weights, scale = constant(1, 1, 4, 4), constant(4)

        def inner():
            scaled = tf.nn.relu(y * scale)
            return y + tf.nn.conv2d(scaled, weights, 1, "SAME") * tf.reduce_mean(y, [1, 2], True)

        z = tf.compat.v1.cond(tf.reduce_mean(y) < 5.0, inner, lambda: y)
        tf.identity(conv(tf, constant, z), name="o")

    if version == 1:
        tf.compat.v1.disable_control_flow_v2()
    try:
        check(function, applied={})
    finally:
        tf.compat.v1.enable_control_flow_v2()


def test_names_that_are_taken_are_not_taken_again():
    def function(tf, constant):
        y = conv(tf, constant, placeholder(tf, 8, 8, 4))
        others = [
            tf.multiply(y, tf.sin(y), name=f"{name}")
            for name in ("a/scale", "a/shift", "m/mean", "m/weights", "p/product", "p/matrix")
        ]
        scaled = tf.multiply(y, constant(4), name="a")
        z = conv(tf, constant, tf.nn.relu(scaled)) + tf.add_n(others)
        mean = tf.reduce_mean(tf.nn.relu(conv(tf, constant, z)), [1, 2], name="m")
        rows = tf.reshape(dense(tf, constant, mean), [-1, 2, 3])
        tf.identity(tf.matmul(rows, constant(3, 2), name="p"), name="o")

    # The scopes are given before the nodes that own them, as some exporters do.
    check(function, applied=dict.fromkeys(PASSES, 1))


# Channels


def test_channels_are_known_where_they_stay_and_only_there():
    def function(tf, constant):
        x = tf.nn.relu(conv(tf, constant, placeholder(tf, 8, 8, 4), 6))
        tf.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0]], name="same")
        tf.raw_ops.Pad(input=x, paddings=[[0, 0]] * 3 + [[1, 1]], name="padded")
        tf.concat([x, x[:, :, :, :2]], 3, name="sliced")
        tf.concat([x, tf.nn.max_pool2d(x, 2, 1, "SAME")], -1, name="wider")
        tf.concat([x, x], 1, name="taller")
        one = conv(tf, constant, x, 1)
        tf.multiply(one, constant(6), name="broadcast")
        tf.add(one, x, name="unequal")
        tf.multiply(x, constant(1, 1, 1, 1, 6), name="deeper")
        tf.raw_ops.MaxPool(
            input=x, ksize=[1, 1, 1, 3], strides=[1, 1, 1, 3], padding="VALID", name="across"
        )
        half = tf.nn.conv2d(
            tf.cast(x, tf.float16), tf.cast(constant(1, 1, 6, 4), tf.float16), 1, "SAME"
        )
        tf.identity(half, name="half")

    graph = Graph(build(function), inputs=("x",), outputs=("same",))
    trunk, known = Trunk(graph), {"same": 6, "wider": 12}
    names = ("padded", "sliced", "taller", "broadcast", "unequal", "deeper", "across", "half", "x")
    assert {n: trunk.channels(n) for n in (*known, *names)} == known | dict.fromkeys(names)


def test_padded_channels_do_not_mislead_what_follows():
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf, 8, 8, 4))
        wide = tf.nn.max_pool2d(
            tf.raw_ops.Pad(input=x, paddings=[[0, 0]] * 3 + [[2, 2]]), 2, 1, "SAME"
        )
        tf.identity(conv(tf, constant, tf.nn.relu(wide * 0.5 + 0.1)), name="o")

    check(function, applied={})


def test_a_single_channel_is_left_alone():
    """TensorFlow with oneDNN fails on some depthwise convolutions that have a single weight."""

    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf, 8, 8, 4), 1)
        y = conv(tf, constant, tf.nn.relu(x * 0.3 + 0.5), 1) + x
        mean = tf.reduce_mean(y, [1, 2], keepdims=True)
        tf.identity(conv(tf, constant, mean, 4, kernel=1), name="o")

    check(function, applied={})


def test_half_precision_is_left_alone():
    def function(tf, constant):
        x = tf.cast(placeholder(tf, 8, 8, 4), tf.float16)
        y = tf.nn.conv2d(x, tf.cast(constant(3, 3, 4, 4), tf.float16), 1, "SAME")
        z = tf.nn.relu(norm(tf, constant, y)) + y
        z = tf.nn.conv2d(z, tf.cast(constant(3, 3, 4, 4), tf.float16), 1, "SAME")
        mean = tf.reduce_mean(z, [1, 2], keepdims=True)
        z = tf.nn.conv2d(mean, tf.cast(constant(1, 1, 4, 4), tf.float16), 1, "SAME")
        tf.cast(z, tf.float32, name="o")

    graph, report = cleaned(build(function))
    assert [report.applied[name] for name in PASSES] == [0, 0, 0]
    assert {node.op for node in graph} >= {"FusedBatchNormV3", "Mean"}


# Means


def mean_of(tf, constant, make, *, size=(8, 8)):
    x = tf.nn.relu(conv(tf, constant, placeholder(tf, *size, 4)))
    made = make(tf, x)
    if made.shape.rank == 2:
        return tf.identity(dense(tf, constant, made), name="o")
    return tf.identity(conv(tf, constant, made, kernel=1), name="o")


MEANS = {
    "kept": lambda tf, x: tf.reduce_mean(x, [1, 2], keepdims=True),
    "dropped": lambda tf, x: tf.reduce_mean(x, [1, 2]),
    "negative": lambda tf, x: tf.reduce_mean(x, [-2, -3]),
    "wide_axes": lambda tf, x: tf.reduce_mean(x, tf.constant([2, 1], tf.int64)),
    "pool": lambda tf, x: tf.nn.avg_pool2d(x, 8, 1, "VALID"),
    "pool_with_stride": lambda tf, x: tf.nn.avg_pool2d(x, 8, 8, "VALID"),
}


@pytest.mark.parametrize("form", MEANS)
def test_a_mean_over_the_image_becomes_a_depthwise_convolution(form):
    def function(tf, constant):
        mean_of(tf, constant, MEANS[form])

    check(function, applied={"mean_to_depthwise": 1})
    network = compiled(build(function), FEED)
    emitted = network.emit()
    assert emitted.plan.boundaries == ("x",)
    assert Simulation(network, emitted).check(FEED).worst[1] <= 1


NO_MEANS = {
    "rows": lambda tf, x: tf.reduce_mean(x, [1], keepdims=True),
    "channels": lambda tf, x: tf.reduce_mean(x, [3], keepdims=True),
    "everything": lambda tf, x: tf.reduce_mean(x, [1, 2, 3], keepdims=True) + x,
    "some_axis": lambda tf, x: tf.reduce_mean(x, tf.cast(tf.shape(x)[:1] * 0 + 1, tf.int32), True),
    "part": lambda tf, x: tf.nn.avg_pool2d(x, 4, 4, "VALID"),
    "padded": lambda tf, x: tf.nn.avg_pool2d(x, 8, 1, "SAME"),
    "outside": lambda tf, x: tf.reduce_mean(tf.sin(x), [1, 2], keepdims=True),
}


@pytest.mark.parametrize("form", NO_MEANS)
def test_other_means_are_left_alone(form):
    def function(tf, constant):
        mean_of(
            tf,
            constant,
            lambda tf, x: (
                tf.ensure_shape(NO_MEANS[form](tf, x), [None] * 3 + [4])
                if form not in ("channels",)
                else tf.tile(NO_MEANS[form](tf, x), [1, 1, 1, 4])
            ),
        )

    _, report = check(function, applied={})
    assert report.declined == {}


def test_means_of_large_or_unknown_images_are_declined_with_the_reason():
    def large(tf, constant):
        mean_of(tf, constant, MEANS["dropped"], size=(17, 17))

    def unknown(tf, constant):
        mean_of(tf, constant, MEANS["dropped"], size=(None, None))

    _, report = check(large, feed={"x": data(2, 17, 17, 4)}, applied={})
    assert report.declined == {"Mean": "it averages over 17×17 pixels, which is faster in fp32"}
    _, report = check(unknown, applied={})
    assert report.declined == {"Mean": "it averages over an image of unknown size"}


def test_a_mean_that_is_an_output_or_that_no_kernel_reads_stays():
    def function(tf, constant):
        x = tf.nn.relu(conv(tf, constant, placeholder(tf, 8, 8, 4)))
        tf.nn.softmax(tf.reduce_mean(x, [1, 2]), name="o")

    check(function, applied={})


# Products


def product_of(tf, constant, make):
    x = placeholder(tf, 5, 8)
    tf.identity(make(tf, constant, x), name="o")


def einsum(equation, *shape):
    def make(tf, constant, x):
        return tf.raw_ops.Einsum(inputs=[x, constant(*shape)], equation=equation)

    return make


PRODUCTS = {
    "plain": lambda tf, constant, x: tf.matmul(x, constant(8, 6)),
    "transposed": lambda tf, constant, x: tf.matmul(x, constant(6, 8), transpose_b=True),
    "biased": dense,
    "biased_first": lambda tf, constant, x: constant(1, 6) + tf.matmul(x, constant(8, 6)),
    "bias_add": lambda tf, c, x: tf.nn.bias_add(tf.matmul(x, c(8, 6)), c(6)),
    "rank_two": lambda tf, c, x: tf.raw_ops.BatchMatMulV2(x=x[:, 0], y=c(8, 6)),
    "rank_four": lambda tf, c, x: tf.matmul(tf.reshape(x, [-1, 5, 2, 4]), c(4, 3)) + c(3),
    "einsum": einsum("abc,cd->abd", 8, 6),
    "einsum_heads": einsum("abc,cde->abde", 8, 2, 3),
    "einsum_both": einsum("abc,bcd->ad", 5, 8, 3),
    "einsum_bias": lambda tf, c, x: einsum("abc,cde->abde", 8, 2, 3)(tf, c, x) + c(2, 3),
}


@pytest.mark.parametrize("form", PRODUCTS)
def test_a_product_with_a_constant_matrix_becomes_one_matmul(form):
    def function(tf, constant):
        product_of(tf, constant, PRODUCTS[form])

    graph, _ = check(function, feed=SEQUENCE, applied={"products_to_matmul": 1})
    left = {node.op for node in graph}
    assert not left & {"Einsum", "BatchMatMulV2", "AddV2"}
    assert "Shape" not in left
    network = compiled(build(function), SEQUENCE)
    emitted = network.emit()
    assert len(emitted.plan.boundaries) == 1
    assert len(ops(emitted.graph_def, "_QuantizedMatMul")) == 1
    deviation = Simulation(network, emitted).check(SEQUENCE)
    assert deviation.worst[1] <= 1
    for got, wanted in zip(deviation.outputs, deviation.forced, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())


UNLIKE = {
    "constant_first": lambda tf, c, x: tf.matmul(c(1, 3, 5), x),
    "batched_constant": lambda tf, c, x: tf.matmul(x, c(1, 8, 6)),
    "two_variables": lambda tf, c, x: tf.matmul(x, x, transpose_b=True),
    "adj_x": lambda tf, c, x: tf.raw_ops.BatchMatMulV2(x=x, y=c(5, 3), adj_x=True),
    "einsum_transposed": einsum("abc,dc->abd", 6, 8),
    "einsum_result_turned": einsum("abc,cd->adb", 8, 6),
    "einsum_batched": einsum("abc,bcd->abd", 5, 8, 3),
    "einsum_outer": einsum("abc,d->abcd", 6),
    "einsum_reduced": einsum("abc,cd->ad", 8, 6),
    "einsum_dots": einsum("...c,cd->...d", 8, 6),
    "einsum_all": einsum("abc,abcd->d", 3, 5, 8, 2),
    "int32": lambda tf, c, x: tf.matmul(tf.cast(x * 9, tf.int32), tf.cast(c(8, 6) * 9, tf.int32)),
}


@pytest.mark.parametrize("form", UNLIKE)
def test_other_products_are_left_alone(form):
    def function(tf, constant):
        product_of(tf, constant, UNLIKE[form])

    _, report = check(function, feed=SEQUENCE, applied={})
    wanted = {"it is no product with one constant matrix"}
    assert set(report.declined.values()) == (
        set() if form in ("constant_first", "two_variables", "int32") else wanted
    )


def test_biases_that_are_not_of_the_product_stay_behind_it():
    def of_rank_five(tf, constant, x):
        return tf.matmul(x, constant(8, 6)) + constant(1, 1, 1, 1, 6)

    def per_row(tf, constant, x):
        return tf.matmul(x, constant(8, 6)) + constant(5, 1)

    def along_rows(tf, constant, x):
        return tf.nn.bias_add(tf.matmul(x, constant(8, 5)), constant(5), data_format="NCHW")

    def read_twice(tf, constant, x):
        product = tf.matmul(x, constant(8, 6))
        return product + constant(6) + tf.sin(product)

    for make in (of_rank_five, per_row, along_rows, read_twice):
        check(
            lambda tf, constant, make=make: product_of(tf, constant, make),
            feed=SEQUENCE,
            applied={"products_to_matmul": 1},
        )


def test_products_of_unknown_sizes_compute_their_shape():
    def function(tf, constant):
        x = tf.compat.v1.placeholder(tf.float32, [None, None, 8], "x")
        tf.identity(dense(tf, constant, tf.nn.relu(dense(tf, constant, x))), name="o")

    graph, _ = check(function, feed=SEQUENCE, applied={"products_to_matmul": 2})
    assert "Shape" in {node.op for node in graph}
    network = compiled(build(function), SEQUENCE)
    for feed in (SEQUENCE, {"x": data(2, 9, 8)}):
        assert Simulation(network, network.emit()).check(feed).worst[1] <= 1


# LeakyRelu on codes


@pytest.mark.parametrize("slope", [0.0, 1e-9, 0.01, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("kernel", [1, 3])
def test_slopes_of_zero_to_one_run_on_codes(slope, kernel):
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf, 8, 8, 4))
        x = tf.nn.leaky_relu(x, slope, name="leaky")
        tf.identity(conv(tf, constant, x, kernel=kernel), name="o")

    network = compiled(build(function), FEED)
    emitted = network.emit()
    assert "leaky" in emitted.plan.movements
    assert emitted.plan.encodings["leaky"].dtype == ("u8" if kernel == 1 else "s8")
    assert Simulation(network, emitted).check(FEED).worst[1] <= 1


@pytest.mark.parametrize("slope", [-0.5, 1.5])
def test_other_slopes_stay_fp32(slope):
    def function(tf, constant):
        x = tf.nn.leaky_relu(conv(tf, constant, placeholder(tf, 8, 8, 4)), slope, name="leaky")
        tf.identity(conv(tf, constant, x), name="o")

    network = compiled(build(function), FEED)
    emitted = network.emit()
    assert "leaky" not in emitted.plan.movements
    assert Simulation(network, emitted).check(FEED).worst[1] <= 1
