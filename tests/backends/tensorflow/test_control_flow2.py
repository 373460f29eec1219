"""TF2 loops and conditionals: int8 in front of them and behind, fp32 with the reason inside."""

import numpy as np
import pytest
from graphs import build, cleaned, compiled, data, ops, placeholder, run

from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, host_info
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.simulation import Simulation


def trunk(tf, constant, x):
    y = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, constant(3, 3, 4, 8), 1, "SAME"), constant(8)))
    return tf.nn.bias_add(tf.nn.conv2d(y, constant(3, 3, 8, 4), 1, "SAME"), constant(4))


def head(tf, constant, x):
    return tf.nn.relu(tf.nn.conv2d(x, constant(1, 1, 4, 4), 1, "SAME"), name="o")


def while_between(tf, constant):
    y = trunk(tf, constant, placeholder(tf, 8, 8, 4))
    weights = constant(1, 1, 4, 4)
    step = tf.function(lambda i, v: (i + 1, tf.nn.relu(tf.nn.conv2d(v, weights, 1, "SAME"))))
    result = tf.while_loop(lambda i, v: i < 3, step, [tf.constant(0), y])
    head(tf, constant, result[1])


def if_between(tf, constant):
    x = placeholder(tf, 8, 8, 4)
    y, weights = trunk(tf, constant, x), constant(3, 3, 4, 4)
    spec = tf.TensorSpec([None, 8, 8, 4], tf.float32)
    chosen = tf.function(lambda v, w: tf.nn.conv2d(v, w, 1, "SAME"))
    other = tf.function(lambda v, w: v)
    specs = [spec, tf.TensorSpec([3, 3, 4, 4], tf.float32)]
    z = tf.raw_ops.StatelessIf(
        cond=tf.reduce_mean(x) > 5.0,
        input=[y, weights],
        Tout=[tf.float32],
        then_branch=chosen.get_concrete_function(*specs),
        else_branch=other.get_concrete_function(*specs),
        output_shapes=[[None, 8, 8, 4]],
    )[0]
    head(tf, constant, z)


def case_inside_a_loop(tf, constant):
    y = trunk(tf, constant, placeholder(tf, 8, 8, 4))
    weights = constant(1, 1, 4, 4)

    def body(i, v):
        branches = [lambda: tf.nn.conv2d(v, weights, 1, "SAME"), lambda: v * 0.5, lambda: v]
        return i + 1, tf.switch_case(i, branches)

    result = tf.while_loop(lambda i, v: i < 3, body, [tf.constant(0), y])
    head(tf, constant, result[1])


GRAPHS = {
    while_between: "a while body",
    if_between: "a branch of an if",
    case_inside_a_loop: "a branch of a case",
}


@pytest.fixture(autouse=True)
def tf2_control_flow():
    """TF2 control flow also in plain graphs: While and If nodes with functions."""
    from lpot_examples.backends.tensorflow.runtime import import_tensorflow

    import_tensorflow().compat.v1.enable_control_flow_v2()


@pytest.mark.parametrize("function", GRAPHS, ids=lambda function: function.__name__)
def test_convolutions_around_are_quantized_and_bodies_stay(function):
    graph_def, feed = build(function), {"x": data(4, 8, 8, 4)}
    network = compiled(graph_def, feed)
    emitted = network.emit()
    assert len(ops(emitted.graph_def, "_FusedQuantizedConv2D")) == 3
    assert not ops(emitted.graph_def, "Conv2D")
    bodies = {function.signature.name: function for function in emitted.graph_def.library.function}
    for body in graph_def.library.function:
        if body.signature.name in bodies:
            assert bodies[body.signature.name] == body
    probe = {"x": data(3, 8, 8, 4, seed=5)}
    assert Simulation(network, emitted).check(probe).worst[1] <= 1
    (fp32,), (int8,) = (run(g, ("o",), probe) for g in (graph_def, emitted.graph_def))
    assert sqnr(fp32, int8) > 22


@pytest.mark.parametrize(("function", "place"), GRAPHS.items(), ids=lambda item: str(item)[:20])
def test_ops_in_bodies_are_listed_with_the_reason(function, place):
    feed = {"x": data(4, 8, 8, 4)}
    model = TensorFlowModel(build(function), inputs=("x",), outputs=("o",))
    backend = TensorFlowBackend(model, INSTRUCTION_SETS[host_info().isa])
    kept = [group for group in backend.op_graph.groups if not group.quantizable]
    assert [group.type for group in kept] == ["Conv2D"]
    assert kept[0].reason == f"inside {place}, where ranges cannot be calibrated"
    assert kept[0].name in backend.op_types
    statistics = backend.calibrate([feed], sizes=[4])[4]
    decisions = {op.name: op for op in backend.explain(TuningConfig(), statistics, {})}
    assert decisions[kept[0].name].precision == "fp32"
    assert decisions[kept[0].name].reason == kept[0].reason


def test_a_loop_over_a_tensor_list_around_a_network():
    def function(tf, constant):
        frames = tf.compat.v1.placeholder(tf.float32, [2, None, 8, 8, 4], "x")
        weights = constant(3, 3, 4, 4)
        mapped = tf.map_fn(lambda v: tf.nn.conv2d(v, weights, 1, "SAME"), frames)
        head(tf, constant, tf.reshape(mapped, [-1, 8, 8, 4]))

    graph_def, feed = build(function), {"x": data(2, 3, 8, 8, 4)}
    network = compiled(graph_def, feed)
    reasons = [group.reason for group in network.grouping.described]
    assert reasons.count("inside a while body, where ranges cannot be calibrated") == 1
    emitted = network.emit()
    assert len(ops(emitted.graph_def, "_FusedQuantizedConv2D")) == 1
    (fp32,), (int8,) = (run(g, ("o",), feed) for g in (graph_def, emitted.graph_def))
    assert sqnr(fp32, int8) > 30


def test_control_edges_of_freezing_do_not_stop_fusion():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        with tf.control_dependencies([tf.no_op("ready"), x.op]):
            weights = tf.identity(constant(3, 3, 4, 4), name="read")
        with tf.control_dependencies([weights.op]):
            y = tf.identity(tf.nn.conv2d(x, weights, 1, "SAME"))
            y = tf.identity(tf.nn.bias_add(y, constant(4)))
        with tf.control_dependencies([y.op]):
            tf.nn.relu(y, name="o")

    graph, report = cleaned(build(function))
    assert report.applied["drop_control_edges"] == 3
    assert sorted(node.op for node in graph if node.op != "Const") == [
        "BiasAdd",
        "Conv2D",
        "Placeholder",
        "Relu",
    ]


def test_control_edges_that_order_effects_stay():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        said = tf.print("effect", output_stream="file:///dev/null")
        with tf.control_dependencies([said]):
            after = tf.identity(x)
        with tf.control_dependencies([tf.group(after)]):
            tf.nn.relu(x, name="o")

    graph, report = cleaned(build(function))
    assert report.applied["drop_control_edges"] == 0
    assert any(node.op == "PrintV2" for node in graph)


def test_a_while_without_effects_is_no_reason_to_wait():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        total = tf.while_loop(lambda i: i < 3, lambda i: i + 1, [tf.constant(0)])
        with tf.control_dependencies([total[0].op if isinstance(total, list) else total.op]):
            y = tf.identity(x)
        np.testing.assert_equal(y.shape[1], 8)
        tf.nn.relu(y, name="o")

    graph, _ = cleaned(build(function))
    assert sorted(node.op for node in graph) == ["Placeholder", "Relu"]
