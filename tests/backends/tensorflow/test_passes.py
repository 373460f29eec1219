"""Passes keep every output's value, decline with a reason, and never touch what they were given."""

import numpy as np
import pytest
from graphs import assert_equal_outputs, build, cleaned, data, placeholder

FEED = {"x": data(3, 8, 8, 4)}


def check(function, *, outputs=("o",), feed=FEED):
    graph_def = build(function)
    graph, report = cleaned(graph_def, outputs=outputs, inputs=tuple(feed))
    result = graph.to_graph_def()
    assert_equal_outputs(graph_def, result, outputs, feed)
    return graph, report, sorted(node.op for node in result.node if node.op != "Const")


def keras_batch_norm(tf, constant, x, channels):
    """Keras 3 in a frozen graph: rsqrt of constants, then Mul, Sub and AddV2."""
    scale = tf.math.rsqrt(tf.abs(constant(channels)) + 1e-3) * constant(channels)
    shape = [1, 1, 1, channels]
    return x * tf.reshape(scale, shape) + tf.reshape(constant(channels) - scale * 0.3, shape)


def fused_batch_norm(tf, constant, x, channels, training=False):
    mean, variance = constant(channels), tf.abs(constant(channels)) + 0.4
    return tf.compat.v1.nn.fused_batch_norm(
        x, constant(channels), constant(channels), mean, variance, is_training=training
    )[0]


@pytest.mark.parametrize("norm", [keras_batch_norm, fused_batch_norm])
@pytest.mark.parametrize("op", ["conv", "depthwise", "dense"])
def test_batch_norm_becomes_weights_and_one_bias(norm, op):
    if op == "dense" and norm is fused_batch_norm:
        pytest.skip("FusedBatchNorm takes four dimensions")

    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        if op == "conv":
            x = tf.nn.conv2d(x, constant(3, 3, 4, 6), 1, "SAME")
        elif op == "depthwise":
            x = tf.nn.depthwise_conv2d(x, constant(3, 3, 4, 2), [1] * 4, "SAME")
        else:
            x = tf.matmul(tf.reshape(x, [-1, 4]), constant(5, 4), transpose_b=True) + constant(5)
            scale = constant(5)
            x = (x - constant(5)) * scale / 0.7
        if op != "dense":
            x = norm(tf, constant, x, int(x.shape[3]))
        tf.nn.relu(x, name="o")

    _, report, left = check(function)
    assert report.applied["fold_batch_norm"] == 1
    assert "BiasAdd" in left
    assert not {"Mul", "Sub", "AddV2", "FusedBatchNormV3", "Rsqrt"} & set(left)


def test_subtraction_from_a_constant_folds():
    def function(tf, constant):
        x = tf.nn.conv2d(placeholder(tf, 8, 8, 4), constant(1, 1, 4, 6), 1, "SAME")
        tf.subtract(constant(6), x, name="o")

    assert check(function)[2] == ["BiasAdd", "Conv2D", "Placeholder"]


def test_weights_shared_by_two_convolutions_are_scaled_for_one_only():
    def function(tf, constant):
        x, weights = placeholder(tf, 8, 8, 4), constant(3, 3, 4, 4)
        normed = keras_batch_norm(tf, constant, tf.nn.conv2d(x, weights, 1, "SAME"), 4)
        tf.identity(normed, name="o")
        tf.nn.bias_add(tf.nn.conv2d(x, weights, 1, "SAME"), constant(4), name="p")

    check(function, outputs=("o", "p"))


def test_an_output_inside_a_chain_stays():
    def function(tf, constant):
        x = tf.nn.conv2d(placeholder(tf, 8, 8, 4), constant(3, 3, 4, 4), 1, "SAME", name="raw")
        x = tf.identity(tf.multiply(x, constant(4), name="scaled"), name="same")
        tf.nn.relu(x + constant(4), name="o")

    graph, _, _ = check(function, outputs=("o", "scaled", "same"))
    assert {"scaled", "same"} <= set(graph.nodes)
    check(function, outputs=("o", "raw"))


def test_a_value_read_twice_is_not_folded_away():
    def function(tf, constant):
        x = tf.nn.conv2d(placeholder(tf, 8, 8, 4), constant(3, 3, 4, 4), 1, "SAME")
        tf.add(x * constant(4), tf.sin(x), name="o")

    assert check(function)[1].applied["fold_batch_norm"] == 0


def test_control_dependencies_survive():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        guard = tf.debugging.Assert(tf.reduce_all(x < 9.0), [x], name="guard")
        with tf.control_dependencies([guard]):
            padded = tf.raw_ops.Pad(input=x, paddings=[[0, 0], [1, 1], [1, 1], [0, 0]])
            y = tf.nn.conv2d(padded, constant(3, 3, 4, 4), 1, "VALID")
        with tf.control_dependencies([y.op]):
            again = tf.identity(x)
        tf.add(y * constant(4), again, name="o")

    graph, _, _ = check(function)
    assert any("guard" in source for node in graph for source in node.input if source[0] == "^")


def test_padding_folds_into_a_convolution_but_not_through_another_fill():
    def function(tf, constant, fill=0.0, name="o"):
        x = placeholder(tf, 8, 8, 4)
        padded = tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], constant_values=fill)
        tf.nn.conv2d(padded, constant(3, 3, 4, 4), [1, 2, 2, 1], "VALID", name=name)

    assert check(function)[1].applied["fold_pad"] == 1
    _, report, left = check(lambda tf, constant: function(tf, constant, fill=1.0))
    assert report.applied["fold_pad"] == 0
    assert "PadV2" in left


def test_constants_fold_through_long_chains_but_do_not_blow_the_file_up():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        # 1.2 MB of weights, behind two ops.
        weights = tf.transpose(tf.identity(constant(300, 1024)), [1, 0]) * 0.5
        wide = tf.matmul(tf.reshape(x[:, :, :, :], [-1, 256]), tf.ones([256, 1024]) * 0.01)
        tf.matmul(wide, weights, name="o")
        tf.reduce_sum(tf.zeros([700, 700]) + x[0, 0, 0, 0], name="p")

    graph, _, left = check(function, outputs=("o", "p"))
    assert graph.constant(graph.nodes["o"].input[1]) is not None
    assert "Fill" in left


def test_strings_variants_and_functions_are_left_alone():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        name = tf.strings.join([tf.constant("a"), tf.constant("b")])
        tf.identity(name, name="text")
        total = tf.raw_ops.StatelessIf(
            cond=tf.constant(True),
            input=[tf.constant(2.0)],
            Tout=[tf.float32],
            then_branch=tf.function(lambda v: v * 2.0).get_concrete_function(
                tf.TensorSpec([], tf.float32)
            ),
            else_branch=tf.function(lambda v: v).get_concrete_function(
                tf.TensorSpec([], tf.float32)
            ),
        )[0]
        elements = tf.raw_ops.TensorListReserve(
            element_shape=tf.constant([2]), num_elements=tf.constant(3), element_dtype=tf.float32
        )
        length = tf.raw_ops.TensorListLength(input_handle=elements)
        tf.multiply(x, total + tf.cast(length, tf.float32), name="o")

    graph_def = build(function)
    graph, _ = cleaned(graph_def, outputs=("o", "text"))
    assert graph.nodes["text"].op == "Identity" or graph.nodes["text"].op == "StringJoin"
    assert_equal_outputs(graph_def, graph.to_graph_def(), ("o",), FEED)


def test_statistics_of_the_batch_are_no_constants():
    def function(tf, constant):
        x = tf.nn.conv2d(placeholder(tf, 8, 8, 4), constant(3, 3, 4, 4), 1, "SAME")
        mean = tf.reduce_mean(x, [0, 1, 2], keepdims=True)
        y = (x - mean) * constant(4)
        tf.identity(fused_batch_norm(tf, constant, y, 4, training=True), name="o")

    _, report, left = check(function)
    assert report.applied["fold_batch_norm"] == 0
    assert "FusedBatchNormV3" in left


def test_declined_folds_name_the_reason():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        weights = tf.reshape(tf.reduce_mean(x, [0, 1, 2]), [1, 1, 4, 1])
        y = tf.nn.conv2d(x, weights, 1, "SAME", name="dynamic")
        z = tf.nn.conv2d(x, constant(1, 1, 4, 1), 1, "SAME", name="infinite")
        tf.add(y * 2.0, z * np.float32(np.inf), name="o")

    report = cleaned(build(function))[1]
    assert report.declined == {
        "dynamic": "its weights are not constant",
        "infinite": "its batch-norm constants are not finite",
    }


def test_a_constant_of_higher_rank_is_no_bias():
    def function(tf, constant):
        x = placeholder(tf, 6)
        tf.add(tf.matmul(x, constant(6, 4)), constant(1, 1, 1, 4), name="o")

    graph, report = cleaned(build(function))
    assert report.applied["fold_batch_norm"] == 0
    assert graph.nodes["o"].op == "AddV2"


def test_attributes_and_colocations_of_old_files():
    def function(tf, constant):
        x = tf.nn.conv2d(placeholder(tf, 8, 8, 4), constant(3, 3, 4, 4), 1, "SAME", name="conv")
        x = tf.identity(x, name="gone") * constant(4)
        tf.nn.max_pool2d(tf.nn.relu(x), 2, 2, "SAME", name="o")

    graph_def = build(function)
    for node in graph_def.node:
        for attr in ("dilations", "explicit_paddings", "data_format", "use_cudnn_on_gpu"):
            node.attr.pop(attr, None)
    pool = next(node for node in graph_def.node if node.name == "o")
    pool.attr["_class"].list.s.append(b"loc:@gone")
    graph, _ = cleaned(graph_def)
    assert_equal_outputs(graph_def, graph.to_graph_def(), ("o",), FEED)
    assert list(graph.nodes["conv"].attr["dilations"].list.i) == [1, 1, 1, 1]


def test_a_fed_node_stays_an_input():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4, name="raw")
        fed = tf.identity(x * 2.0, name="fed")
        gain = tf.constant(3.0, name="gain")
        tf.multiply(tf.nn.conv2d(fed, constant(3, 3, 4, 4), 1, "SAME"), gain * 2.0, name="o")

    feed = {"fed": FEED["x"], "gain": np.float32(5.0)}
    check(function, feed=feed)
