"""What a graph can contain beside a plain chain: kept right, or refused before time is spent."""

import numpy as np
import pytest
from graphs import assert_equal_outputs, build, cleaned, compiled, data, ops, placeholder, run

from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
from lpot_examples.backends.tensorflow.model import TensorFlowModel, load_model
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.backends.tensorflow.validate import check_graph
from lpot_examples.errors import ModelError
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, host_info
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.simulation import Simulation


def check(function, feed, *, outputs=("o",), kernels, least=22, **kinds):
    """Check passes and int8 of a graph; ``kernels`` int8 convolutions are expected."""
    graph_def = build(function)
    network = compiled(graph_def, feed, outputs=outputs)
    if not network.report.applied["strip_fake_quant"]:
        assert_equal_outputs(graph_def, network.graph_def, outputs, feed)
    emitted = network.emit()
    assert len(ops(emitted.graph_def, "_FusedQuantizedConv2D")) == kernels
    assert Simulation(network, emitted).check(feed).worst[1] <= 1
    for fp32, int8 in zip(
        run(graph_def, outputs, feed), run(emitted.graph_def, outputs, feed), strict=True
    ):
        assert fp32.dtype == int8.dtype
        assert sqnr(fp32, int8) > least
    return network, emitted


def conv(tf, constant, x, channels, filters, size=3, **options):
    weights = options.pop("weights", None)
    weights = constant(size, size, channels, filters) if weights is None else weights
    return tf.nn.conv2d(x, weights, 1, "SAME", **options)


def test_several_inputs_outputs_and_shared_weights():
    def function(tf, constant):
        x, y = placeholder(tf, 8, 8, 4), placeholder(tf, 8, 8, 4, name="y")
        weights, bias = constant(3, 3, 4, 4), constant(4)
        a = tf.nn.relu(tf.nn.bias_add(conv(tf, constant, x, 4, 4, weights=weights), bias))
        b = tf.nn.bias_add(conv(tf, constant, y, 4, 4, weights=weights), bias)
        c = tf.nn.relu(a + b, name="o")
        tf.concat([a, tf.nn.relu(b)], 3, name="p")
        d = conv(tf, constant, c, 4, 4, weights=weights) * tf.reshape(bias, [1, 1, 1, 4])
        tf.add(d, tf.reduce_mean(c, [1, 2], keepdims=True), name="q")

    feed = {"x": data(3, 8, 8, 4), "y": data(3, 8, 8, 4, low=-3, seed=1)}
    network, _ = check(function, feed, outputs=("o", "p", "q"), kernels=3, least=20)
    assert network.graph.inputs == ("x", "y")


def test_outputs_that_are_also_read():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        y = tf.nn.bias_add(conv(tf, constant, x, 4, 4), constant(4), name="o")
        z = tf.nn.relu(y, name="p")
        tf.nn.relu(conv(tf, constant, z, 4, 4) + y, name="q")

    check(function, {"x": data(3, 8, 8, 4)}, outputs=("o", "p", "q"), kernels=2)


@pytest.mark.parametrize("way", ["identity", "transpose", "reshape", "half", "bfloat16", "int8"])
def test_weights_behind_arithmetic_of_constants(way):
    """Also when the float32 weights take more room than a fold may usually add."""

    def function(tf, constant):
        values = np.random.default_rng(0).normal(0, 0.05, (3, 3, 256, 160)).astype(np.float32)
        if way == "identity":
            weights = tf.identity(tf.stop_gradient(tf.constant(values)))
        elif way == "transpose":
            weights = tf.transpose(tf.constant(values.transpose(3, 2, 0, 1)), [2, 3, 1, 0])
        elif way == "reshape":
            weights = tf.reshape(tf.constant(values.ravel()), values.shape)
        elif way == "int8":
            steps = tf.constant(np.round(values * 500).clip(-127, 127).astype(np.int8))
            weights = tf.cast(steps, tf.float32) * 0.002
        else:
            kind = tf.float16 if way == "half" else tf.bfloat16
            weights = tf.cast(tf.cast(tf.constant(values), kind), tf.float32)
        x = placeholder(tf, 5, 5, 256)
        tf.nn.relu(conv(tf, constant, x, 256, 160, weights=weights), name="o")

    network, _ = check(function, {"x": data(2, 5, 5, 256)}, kernels=1)
    assert {node.op for node in network.graph} == {"Placeholder", "Const", "Conv2D", "Relu"}


@pytest.mark.parametrize("stored", ["float16", "bfloat16"])
def test_constants_of_half_precision(stored):
    def function(tf, constant):
        kind = getattr(tf, stored)
        numpy = np.random.default_rng(0).normal(0, 0.3, (3, 3, 4, 4)).astype(kind.as_numpy_dtype)
        weights = tf.cast(tf.constant(numpy, kind), tf.float32)
        tf.nn.relu(conv(tf, constant, placeholder(tf, 8, 8, 4), 4, 4, weights=weights), name="o")

    check(function, {"x": data(3, 8, 8, 4)}, kernels=1)


def test_a_fed_constant_is_read_as_fed():
    def function(tf, constant):
        scale = tf.constant(1.0, name="scale")
        y = conv(tf, constant, placeholder(tf, 8, 8, 4), 4, 4)
        tf.nn.relu(y * scale, name="o")

    feed = {"x": data(3, 8, 8, 4), "scale": np.float32(3.0)}
    check(function, feed, kernels=1)


def test_control_dependencies_on_a_fused_op_survive():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        guard = tf.debugging.Assert(tf.reduce_all(x < 9.0), [x], name="guard")
        with tf.control_dependencies([guard]):
            y = tf.nn.bias_add(conv(tf, constant, x, 4, 4), constant(4))
        tf.nn.relu(y, name="o")

    _, emitted = check(function, {"x": data(3, 8, 8, 4)}, kernels=1)
    tf = import_tensorflow()
    with pytest.raises(tf.errors.InvalidArgumentError, match="assertion failed"):
        run(emitted.graph_def, ("o",), {"x": data(3, 8, 8, 4) + 10})


def trained_for_quantization(tf, constant):
    """FakeQuant behind weights and activations, as quantization-aware training leaves them."""

    def fake(value, low, high, narrow=False):
        return tf.quantization.fake_quant_with_min_max_vars(
            value, tf.constant(low), tf.constant(high), narrow_range=narrow
        )

    x = fake(placeholder(tf, 8, 8, 4), -1.0, 1.0)
    y = conv(tf, constant, x, 4, 8, weights=fake(constant(3, 3, 4, 8), -1.2, 1.2, narrow=True))
    y = fake(tf.nn.relu(tf.nn.bias_add(y, constant(8))), 0.0, 6.0)
    weights = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        constant(3, 3, 8, 4), [-1.0] * 4, [1.0] * 4, narrow_range=True
    )
    fake(tf.nn.bias_add(conv(tf, constant, y, 8, 4, weights=weights), constant(4)), -8.0, 8.0)
    tf.nn.relu(tf.nn.bias_add(conv(tf, constant, y, 8, 4, weights=weights), constant(4)), name="o")


def test_fake_quantization_is_dropped_and_weights_keep_their_grid():
    feed = {"x": data(3, 8, 8, 4)}
    network, _ = check(trained_for_quantization, feed, kernels=2)
    assert network.report.applied["strip_fake_quant"] == 2
    assert not [node.op for node in network.graph if "FakeQuant" in node.op]
    weights = next(iter(network.grouping.compute.values())).weights
    steps = weights / (2.4 / 254)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)


def test_a_user_is_told_that_fake_quantization_was_dropped():
    model = TensorFlowModel(build(trained_for_quantization), inputs=("x",), outputs=("o",))
    backend = TensorFlowBackend(model, INSTRUCTION_SETS[host_info().isa])
    assert [note for note in backend.notes if "2 FakeQuant ops were dropped" in note]


def test_fake_quantization_that_cannot_be_dropped_stays():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        high = tf.reduce_max(x)
        y = tf.quantization.fake_quant_with_min_max_vars(x, -high, high, name="moving")
        tf.quantization.fake_quant_with_min_max_args(conv(tf, constant, y, 4, 4), name="o")

    _, report = cleaned(build(function))
    assert report.declined["moving"] == "its range is computed at run time"
    assert report.declined["o"] == "it makes an output"


def test_ops_without_a_kernel_stay_between_int8_ones():
    def function(tf, constant):
        x = conv(tf, constant, placeholder(tf, 8, 8, 4), 4, 4)
        x = tf.raw_ops.LRN(input=tf.math.special.bessel_j0(x), depth_radius=1)
        tf.nn.relu(conv(tf, constant, x, 4, 4), name="o")

    network, emitted = check(function, {"x": data(3, 8, 8, 4)}, kernels=2)
    assert ops(emitted.graph_def, "LRN")
    assert ops(emitted.graph_def, "BesselJ0")


# What is refused


def plain(tf, constant):
    x = placeholder(tf, 8, 8, 4)
    tf.nn.relu(conv(tf, constant, x, 4, 4), name="o")


def unknown_op(graph_def):
    graph_def.node.add(name="odd", op="MyCompanysResize", input=["o"])


def unknown_op_in_a_body(graph_def):
    function = graph_def.library.function.add()
    function.signature.name = "f"
    function.node_def.add(name="odd", op="MyCompanysResize")


def twice(graph_def):
    graph_def.node.add().CopyFrom(graph_def.node[0])


def missing(graph_def):
    graph_def.node.add(name="late", op="Relu", input=["o", "^gone"])


def variable(graph_def):
    graph_def.node.add(name="w", op="VarHandleOp")


def cycle(graph_def):
    for name, source in (("a", "b"), ("b", "c"), ("c", "a")):
        graph_def.node.add(name=name, op="Relu", input=[source])
    graph_def.node.add(name="behind", op="Relu", input=["a"])


REFUSED = {
    unknown_op: "does not know: MyCompanysResize, such as node 'odd'",
    unknown_op_in_a_body: "does not know: MyCompanysResize, in function bodies",
    twice: "names must differ, and 1 are used more than once",
    missing: "node 'late' reads 'gone', which is not in the graph",
    variable: "is not frozen: 1 variables such as 'w'",
    cycle: r"nodes wait for one another, so none can run \((c, b, a)\)",
}


@pytest.mark.parametrize(
    ("damage", "message"), REFUSED.items(), ids=[damage.__name__ for damage in REFUSED]
)
def test_broken_graphs_are_refused_at_load(damage, message, tmp_path):
    graph_def = build(plain)
    damage(graph_def)
    path = tmp_path / "model.pb"
    path.write_bytes(graph_def.SerializeToString())
    with pytest.raises(ModelError, match=message):
        load_model(path, inputs=("x",), outputs=("o",))
    with pytest.raises(ModelError, match=message):
        check_graph(graph_def, "the model")
    model = TensorFlowModel(graph_def, inputs=("x",), outputs=("o",))
    with pytest.raises(ModelError, match=message):
        TensorFlowBackend(model, INSTRUCTION_SETS[host_info().isa])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda node: node.input.append("x"), "cannot import the model"),
        (lambda node: node.input.__setitem__(0, "x:7"), "cannot import the model"),
    ],
)
def test_what_tensorflow_cannot_import_is_refused(change, message):
    graph_def = build(plain)
    change(next(node for node in graph_def.node if node.name == "o"))
    model = TensorFlowModel(graph_def, inputs=("x",), outputs=("o",))
    with pytest.raises(ModelError, match=message):
        TensorFlowBackend(model, INSTRUCTION_SETS[host_info().isa])


def test_loops_of_tf1_are_no_cycles():
    def function(tf, constant):
        tf.compat.v1.disable_control_flow_v2()
        try:
            x = placeholder(tf, 8, 8, 4)
            result = tf.compat.v1.while_loop(
                lambda i, v: i < 3, lambda i, v: (i + 1, v * 2), [0, x]
            )
        finally:
            tf.compat.v1.enable_control_flow_v2()
        tf.identity(result[1], name="o")

    graph_def = build(function)
    assert ops(graph_def, "NextIteration")
    check_graph(graph_def, "the model")


def test_an_emitted_graph_passes_the_check():
    _, emitted = check(plain, {"x": data(3, 8, 8, 4)}, kernels=1)
    check_graph(emitted.graph_def, "the model")


def test_a_whole_run_of_an_nchw_network():
    def function(tf, constant):
        x = tf.compat.v1.placeholder(tf.float32, [None, 4, 8, 8], "x")
        y = tf.nn.conv2d(x, constant(3, 3, 4, 4), 1, "SAME", data_format="NCHW")
        y = tf.nn.relu(tf.nn.bias_add(y, constant(4), data_format="NCHW"))
        tf.nn.max_pool2d(y, [1, 1, 2, 2], [1, 1, 2, 2], "SAME", data_format="NCHW", name="o")

    feed = {"x": data(3, 4, 8, 8)}
    model = TensorFlowModel(build(function), inputs=("x",), outputs=("o",))
    backend = TensorFlowBackend(model, INSTRUCTION_SETS[host_info().isa])
    assert [note for note in backend.notes if "from the layout NCHW to NHWC" in note]
    statistics = backend.calibrate([feed], sizes=[3])[3]
    tuned = backend.emit(TuningConfig(), statistics)
    wanted, got = model(feed), tuned(feed)
    assert wanted.shape == got.shape == (3, 4, 4, 4)
    assert sqnr(wanted, got) > 25
