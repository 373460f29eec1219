"""NCHW networks become NHWC with transposes at their ends only, and compute the same."""

import numpy as np
import pytest
from graphs import build, cleaned, compiled, data, ops, run

from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.simulation import Simulation

FEED = {"x": data(2, 4, 9, 12)}


def reference(graph_def, outputs, feed):
    """Run a graph as given; TensorFlow's CPU kernels need its own layout optimizer for NCHW."""
    tf = import_tensorflow()
    from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig

    graph, config = tf.Graph(), tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.cpu_layout_conversion = RewriterConfig.NCHW_TO_NHWC
    config.graph_options.rewrite_options.min_graph_nodes = -1
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    with tf.compat.v1.Session(graph=graph, config=config) as session:
        names = [name if ":" in name else f"{name}:0" for name in outputs]
        return session.run(names, {f"{name}:0": value for name, value in feed.items()})


def check(function, *, outputs=("o",), feed=None, transposes=None, applied=True):
    """Check that a graph is converted whole and gives the same; return its passes' report."""
    feed = feed or FEED
    graph_def = build(function)
    graph, report = cleaned(graph_def, outputs=outputs, inputs=tuple(feed))
    result = graph.to_graph_def()
    wanted = reference(graph_def, outputs, feed)
    for one, two in zip(wanted, run(result, outputs, feed), strict=True):
        assert one.shape == two.shape
        assert one.dtype == two.dtype
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5 * max(np.abs(one).max(), 1e-9))
    assert (report.applied["convert_layout"] > 0) == applied
    if applied:
        assert not [n.name for n in result.node if b"NCHW" in n.attr["data_format"].s]
    if transposes is not None:
        assert len(ops(result, "Transpose")) == transposes
    return graph, report


def placeholder(tf, *shape, name="x"):
    return tf.compat.v1.placeholder(tf.float32, [None, *(shape or (4, 9, 12))], name)


def conv(tf, constant, x, shape, stride=1, padding="SAME", **options):
    strides = [1, 1, stride, stride]
    return tf.nn.conv2d(x, constant(*shape), strides, padding, data_format="NCHW", **options)


def bias(tf, constant, x):
    return tf.nn.bias_add(x, constant(int(x.shape[1])), data_format="NCHW")


def norm(tf, constant, x):
    count = int(x.shape[1])
    mean, variance = constant(count), tf.abs(constant(count)) + 0.4
    return tf.compat.v1.nn.fused_batch_norm(
        x,
        constant(count),
        constant(count),
        mean,
        variance,
        is_training=False,
        data_format="NCHW",
    )[0]


def network(tf, constant):
    """Every kind of NCHW op, residual, padding, concatenation, squeeze-and-excite, pooling."""
    x = (placeholder(tf) - constant(1, 4, 1, 1)) * 2.0
    x = tf.nn.relu(norm(tf, constant, conv(tf, constant, x, (3, 3, 4, 8), stride=2)))
    x = tf.nn.max_pool2d(x, [1, 1, 2, 3], [1, 1, 1, 2], "SAME", data_format="NCHW")
    y = tf.pad(x, [[0, 0], [0, 0], [2, 1], [0, 1]])
    y = tf.nn.relu6(bias(tf, constant, conv(tf, constant, y, (4, 2, 8, 8), padding="VALID")))
    pads = [[0, 0], [0, 0], [1, 1], [2, 0]]
    y = conv(tf, constant, y, (3, 3, 8, 8), padding=pads) * constant(8, 1, 1) + constant(8, 1, 1)
    x = tf.nn.relu(x + y)
    w = constant(3, 3, 8, 1)
    y = tf.nn.depthwise_conv2d(x, w, [1] * 4, "SAME", data_format="NCHW", dilations=[1, 1])
    gate = tf.reduce_mean(x, [2, 3], keepdims=True)
    gate = tf.sigmoid(conv(tf, constant, gate, (1, 1, 8, 8)))
    z = tf.concat([y * gate, tf.nn.leaky_relu(x), constant(2, 3, 5, 3)], 1)
    z = bias(tf, constant, conv(tf, constant, z, (3, 3, 19, 6), dilations=[1, 1, 2, 2]))
    z = tf.nn.avg_pool2d(z, [1, 1, 2, 2], 1, "VALID", data_format="NCHW")
    a, b = tf.split(z, [2, 4], 1)
    z = tf.concat([b[:, 1:], a, b[:, :-2, :, ::1]], axis=1)
    z = tf.squeeze(tf.reduce_max(z, [2, 3], keepdims=True), [2, 3])
    tf.matmul(z, constant(7, 5), name="o")


def test_a_whole_network_keeps_one_transpose():
    graph, report = check(network, transposes=1)
    assert not [name for name, reason in report.declined.items() if "NCHW" in reason]
    # Batch-norm is folded after the conversion, by the passes that know NHWC only.
    assert not ops(graph.to_graph_def(), "FusedBatchNormV3")


def test_a_whole_network_runs_in_int8():
    feed = {"x": data(2, 4, 9, 12, seed=3)}
    graph_def = build(network)
    compilation = compiled(graph_def, feed)
    assert all(group.quantizable for group in compilation.grouping.described)
    emitted = compilation.emit()
    assert Simulation(compilation, emitted).check(feed).worst[1] <= 1
    wanted, got = reference(graph_def, ("o",), feed), run(emitted.graph_def, ("o",), feed)
    assert sqnr(wanted[0], got[0]) > 22


def test_outputs_keep_names_and_layout():
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf), (3, 3, 4, 4))
        x = tf.nn.relu(x, name="inner")
        conv(tf, constant, x, (1, 1, 4, 6)) + constant(6, 1, 1)
        y = tf.add(conv(tf, constant, x, (1, 1, 4, 6)), constant(6, 1, 1), name="o")
        tf.reduce_mean(y, [2, 3], name="mean")
        tf.argmax(y, 1, name="classes")
        tf.shape(y, name="shape")
        tf.reduce_sum(y, 3, name="rows")  # its result keeps C in front of H

    graph, _ = check(function, outputs=("o", "inner", "mean", "classes", "shape", "rows"))
    assert graph.nodes["inner"].op == graph.nodes["o"].op == "Transpose"


def test_sandwiches_of_converters_are_taken_up():
    def function(tf, constant):
        x = tf.transpose(placeholder(tf), [0, 2, 3, 1])
        for channels in (4, 8):
            x = tf.nn.conv2d(x, constant(3, 3, channels, 8), 1, "SAME")
            x = tf.transpose(x, [0, 3, 1, 2])
            x = tf.nn.relu(x + constant(8, 1, 1))
            x = tf.transpose(tf.pad(x, [[0, 0], [0, 0], [1, 1], [1, 1]]), [0, 2, 3, 1])
        x = tf.image.resize(x, (20, 20))
        x = tf.transpose(x, [0, 3, 1, 2]) * 2.0
        tf.transpose(x, [0, 2, 1, 3], name="o")

    graph, _ = check(function, transposes=2)
    assert graph.nodes["o"].op == "Transpose"


def test_a_transpose_in_front_and_other_orders_are_combined():
    def function(tf, constant):
        x = tf.transpose(placeholder(tf, 9, 12, 4), [0, 3, 1, 2])
        x = tf.nn.relu(conv(tf, constant, x, (3, 3, 4, 4)))
        tf.transpose(x, [0, 2, 3, 1], name="o")

    check(function, feed={"x": data(2, 9, 12, 4)}, transposes=0)


def test_shapes_computed_at_run_time():
    def function(tf, constant):
        image = tf.compat.v1.placeholder(tf.float32, [None, 4, None, None], "x")
        x = tf.nn.relu(conv(tf, constant, image, (3, 3, 4, 6), stride=2))
        size = tf.shape(x)
        up = tf.stack([size[0], 4, size[2] * 2, size[3] * 2])
        y = tf.nn.conv2d_transpose(
            x, constant(2, 2, 4, 6), up, [1, 1, 2, 2], "SAME", data_format="NCHW"
        )
        tf.reshape(tf.nn.relu(y), [size[0], size[1] // 3, -1], name="o")

    check(function, transposes=2)


def test_constant_size_of_a_transposed_convolution():
    def function(tf, constant):
        x = tf.compat.v1.placeholder(tf.float32, [2, 4, 9, 12], "x")
        up = [2, 3, 18, 36]
        strides = [1, 1, 2, 3]
        y = tf.nn.conv2d_transpose(x, constant(3, 3, 3, 4), up, strides, "SAME", data_format="NCHW")
        tf.nn.relu(y, name="o")

    check(function, transposes=2)


def test_operands_from_elsewhere():
    def function(tf, constant):
        x, y = placeholder(tf), placeholder(tf, name="y")
        gain = tf.compat.v1.placeholder(tf.float32, [], "gain")
        z = bias(tf, constant, conv(tf, constant, x, (3, 3, 4, 4)))
        row = tf.reduce_mean(y, [0, 1, 2])  # [W], which is the last dimension in NCHW only
        z = tf.nn.relu(z * gain + y)
        z = conv(tf, constant, z, (1, 1, 4, 4))
        tf.add(z, row, name="o")

    feed = {"x": FEED["x"], "y": data(2, 4, 9, 12, seed=1), "gain": np.float32(0.7)}
    check(function, feed=feed, transposes=3)


def test_constants_broadcast_as_before():
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf), (3, 3, 4, 4))
        for shape in ((12,), (9, 1), (1, 9, 12), (1, 4, 1, 1), (1, 1, 1, 1), ()):
            x = x + constant(*shape)
        x = tf.where(x > constant(4, 1, 1), x, constant(12))
        tf.nn.relu(x, name="o")

    check(function, transposes=2)


def test_reductions_slices_and_tiles():
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf), (3, 3, 4, 4))
        a = tf.reduce_sum(x, [-1, -3])
        b = tf.reduce_mean(x, [0, 2, 3])
        c = tf.slice(x, [0, 1, 2, 3], [-1, 2, 5, 7])
        d = tf.tile(x[:, 1:3, ::2], [1, 2, 1, 3])
        e = tf.raw_ops.MirrorPad(input=x, paddings=[[0, 0], [0, 0], [1, 2], [3, 4]], mode="REFLECT")
        f = tf.stack(tf.split(x, 3, axis=2))
        for name, value in zip("abcdef", (a, b, c, d, e, f), strict=True):
            tf.identity(value, name=name)

    check(function, outputs=tuple("abcdef"))


def test_nhwc_networks_are_left_alone():
    def function(tf, constant):
        x = tf.nn.conv2d(placeholder(tf, 8, 8, 4), constant(3, 3, 4, 4), 1, "SAME")
        tf.transpose(x, [0, 2, 1, 3], name="o")

    check(function, feed={"x": data(2, 8, 8, 4)}, applied=False, transposes=1)


def test_what_stays_names_the_reason():
    def function(tf, constant):
        x = placeholder(tf, 4, 6)
        y = tf.nn.bias_add(x, constant(4), data_format="NCHW", name="three")
        image = placeholder(tf, name="image")
        size = tf.constant([1, 1, 2, 2])
        pooled = tf.raw_ops.MaxPoolV2(
            input=image,
            ksize=size,
            strides=size,
            padding="SAME",
            data_format="NCHW",
            name="pool",
        )
        tf.identity(pooled, name="p")
        tf.identity(y, name="o")

    feed = {"x": data(2, 4, 6), "image": FEED["x"]}
    graph_def = build(function)
    _, report = cleaned(graph_def, outputs=("o", "p"), inputs=tuple(feed))
    assert report.declined == {
        "three": "its input has 3 dimensions",
        "pool": "its layout is NCHW, and its conversion is not known",
    }


def test_a_fed_node_is_not_converted():
    def function(tf, constant):
        x = tf.nn.relu(conv(tf, constant, placeholder(tf, name="image"), (3, 3, 4, 4)), name="x")
        tf.identity(conv(tf, constant, x, (3, 3, 4, 4)), name="o")

    assert check(function)[0].nodes["x"].op == "Relu"


@pytest.mark.parametrize("several", [False, True])
def test_a_split_that_is_an_output(several):
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf), (3, 3, 4, 4))
        parts = tf.split(x, 2, axis=1, name="split")
        tf.nn.relu(parts[0] if several else parts[1], name="o")

    check(function, outputs=("o", "split:1") if several else ("o",))
