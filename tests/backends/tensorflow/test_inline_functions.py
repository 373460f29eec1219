"""Called functions become part of the main graph: same results, same effects, quantizable ops."""

import numpy as np
import pytest
from graphs import assert_equal_outputs, build, cleaned, compiled, data, ops, placeholder, run

from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.passes import inline_functions
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.simulation import Simulation

FEED = {"x": data(3, 8, 8, 4)}
CALLS = {"PartitionedCall", "StatefulPartitionedCall"}


def check(function, *, outputs=("o",), feed=None, calls=0):
    """Check that calls disappear and results stay; return the cleaned graph and its report."""
    graph_def, feed = build(function), feed or FEED
    graph, report = cleaned(graph_def, outputs=outputs, inputs=tuple(feed))
    result = graph.to_graph_def()
    assert_equal_outputs(graph_def, result, outputs, feed)
    assert len([node for node in result.node if node.op in CALLS]) == calls
    return graph, report


def inlined(graph_def, *, outputs=("o",), inputs=("x",)):
    """Return the graph after this pass alone, and what it declined."""
    graph, declined = Graph(graph_def, inputs=inputs, outputs=outputs), {}
    inline_functions.run(graph, set(), declined)
    return graph, declined


def block(tf, weights, bias):
    @tf.function
    def inner(v):
        return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(v, weights, 1, "SAME"), bias))

    return inner


def test_nested_calls_with_shared_weights():
    def function(tf, constant):
        inner = block(tf, constant(3, 3, 4, 4), constant(4))

        @tf.function
        def outer(v):
            return inner(inner(v)), tf.reduce_mean(v)

        first, mean = outer(placeholder(tf, 8, 8, 4))
        second, _ = outer(first * mean)
        tf.identity(second, name="o")

    graph, report = check(function)
    assert report.applied["inline_functions"] == 6
    convolutions = [node for node in graph if node.op == "Conv2D"]
    assert len(convolutions) == 4
    assert len({node.input[1] for node in convolutions}) == 1
    assert all(node.name.startswith("PartitionedCall") for node in convolutions)
    assert not graph.functions
    emitted = compiled(build(function), FEED).emit()
    assert len(ops(emitted.graph_def, "_FusedQuantizedConv2D")) == 4
    (wanted,), (got,) = (run(g, ("o",), FEED) for g in (build(function), emitted.graph_def))
    assert sqnr(wanted, got) > 25


def test_a_call_that_makes_outputs_keeps_its_name():
    def function(tf, constant):
        inner = block(tf, constant(3, 3, 4, 4), constant(4))

        @tf.function
        def several(v):
            return v, inner(v), tf.shape(v)

        several(placeholder(tf, 8, 8, 4))
        inner(placeholder(tf, 8, 8, 4, name="y"))

    outputs = ("PartitionedCall", "PartitionedCall:1", "PartitionedCall:2", "PartitionedCall_1")
    graph, _ = check(function, outputs=outputs, feed={**FEED, "y": FEED["x"] * 2})
    assert graph.nodes["PartitionedCall"].op == "IdentityN"
    assert graph.nodes["PartitionedCall_1"].op == "Identity"


def test_a_name_that_is_taken():
    def function(tf, constant):
        inner = block(tf, constant(3, 3, 4, 4), constant(4))
        x = placeholder(tf, 8, 8, 4)
        y = tf.identity(inner(x), name="o")
        tf.nn.relu(y, name="PartitionedCall/Relu")

    # TensorFlow's own optimizer aborts the process on such a graph.
    outputs, graph_def = ("o", "PartitionedCall/Relu"), build(function)
    graph, _ = cleaned(graph_def, outputs=outputs)
    assert graph.nodes["PartitionedCall/Relu_1"].op == "Relu"
    wanted = run(graph_def, outputs, FEED, optimize=False)
    for one, two in zip(wanted, run(graph.to_graph_def(), outputs, FEED), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5)


def test_outputs_of_lists_and_by_name():
    def function(tf, constant):
        @tf.function
        def inner(v):
            a, b = tf.split(v, 2, axis=3)
            _, variance = tf.raw_ops.TopKV2(input=v, k=2, sorted=True)
            _, ids, counts = tf.unique_with_counts(tf.reshape(variance, [-1]))
            both = tf.raw_ops.IdentityN(input=[a, ids])
            return b * both[0], both[1] + counts[0]

        x, y = inner(placeholder(tf, 8, 8, 4))
        tf.identity(x, name="o")
        tf.identity(y, name="p")

    check(function, outputs=("o", "p"))


def test_direct_calls_and_type_attributes():
    def function(tf, constant):
        tf.nn.relu(placeholder(tf, 8, 8, 4), name="o")

    graph_def = build(function)
    doubled = graph_def.library.function.add()
    doubled.signature.name = "Double"
    doubled.signature.attr.add(name="T", type="type")
    doubled.signature.input_arg.add(name="v", type=1)
    doubled.signature.output_arg.add(name="r", type=1)
    body = doubled.node_def.add(name="sum", op="AddV2", input=["v", "v"])
    body.attr["T"].placeholder = "T"
    doubled.ret["r"] = "sum:z:0"
    call = graph_def.node.add(name="twice", op="Double", input=["o"])
    call.attr["T"].type = import_tensorflow().float32.as_datatype_enum
    graph, _ = cleaned(graph_def, outputs=("twice",))
    assert graph.nodes["twice/sum"].op == "AddV2"
    assert_equal_outputs(graph_def, graph.to_graph_def(), ("twice",), FEED)


def test_effects_run_and_are_waited_for(capfd):
    def function(tf, constant):
        @tf.function
        def inner(v):
            tf.print("inside the body", output_stream="file:///dev/stdout")
            return v * 2.0

        @tf.function
        def checked(v):
            tf.debugging.Assert(tf.reduce_all(v < 3.0), [v])
            return inner(tf.nn.relu(v))

        tf.identity(checked(placeholder(tf, 8, 8, 4)) + 1.0, name="o")

    graph, _ = check(function, outputs=("o",))
    assert capfd.readouterr().out.count("inside the body") == 2
    tf = import_tensorflow()
    for candidate in (build(function), graph.to_graph_def()):
        with pytest.raises(tf.errors.InvalidArgumentError, match="assertion"):
            run(candidate, ("o",), {"x": FEED["x"] + 5})


def test_a_call_waits_for_its_control_inputs():
    def function(tf, constant):
        @tf.function
        def draw(v):
            return tf.random.uniform([3], seed=1) + v, v + 1.0

        x = placeholder(tf, 8, 8, 4)
        guard = tf.debugging.Assert(tf.reduce_all(x < 3.0), [x], name="guard")
        with tf.control_dependencies([guard]):
            noise, plain = draw(tf.constant(0.0))
        tf.identity(plain + x, name="o")
        tf.reduce_sum(noise, name="noise")

    graph, _ = check(function)
    tf = import_tensorflow()
    for candidate in (build(function), graph.to_graph_def()):
        with pytest.raises(tf.errors.InvalidArgumentError, match="assertion"):
            run(candidate, ("o",), {"x": FEED["x"] + 5})


def test_a_recursion_stays_a_call():
    def function(tf, constant):
        tf.nn.relu(placeholder(tf, 8, 8, 4), name="o")

    graph_def = build(function)
    for name, callee in (("F", "G"), ("G", "F")):
        made = graph_def.library.function.add()
        made.signature.name = name
        made.signature.input_arg.add(name="v", type=1)
        made.signature.output_arg.add(name="r", type=1)
        made.node_def.add(name="call", op=callee, input=["v"])
        made.ret["r"] = "call:r:0"
    graph_def.node.add(name="start", op="F", input=["o"])
    graph, declined = inlined(graph_def, outputs=("start",))
    assert declined == {"start/call/call": "the function 'F' calls itself"}
    assert set(graph.functions) == {"F", "G"}


def test_calls_inside_tf1_control_flow_stay():
    def function(tf, constant):
        inner = block(tf, constant(3, 3, 4, 4), constant(4))
        tf.compat.v1.disable_control_flow_v2()
        try:
            body = lambda i, v: (i + 1, inner(v))  # noqa: E731
            result = tf.compat.v1.while_loop(
                lambda i, v: i < 3, body, [tf.constant(0), placeholder(tf, 8, 8, 4)]
            )
        finally:
            tf.compat.v1.enable_control_flow_v2()
        tf.identity(inner(result[1]), name="o")

    graph, report = check(function, calls=1)
    assert list(report.declined.values()) == [
        "inside a TF1 loop or conditional, or fed, a call stays a call"
    ]
    assert len(graph.functions) == 1


def branches(tf, constant, op, predicate):
    spec = tf.TensorSpec([None, 8, 8, 4], tf.float32)
    weights = np.ones((1, 1, 4, 4), np.float32)
    chosen = tf.function(lambda v: tf.nn.conv2d(v, weights, 1, "SAME")).get_concrete_function(spec)
    other = tf.function(lambda v: v * 2.0).get_concrete_function(spec)
    x = placeholder(tf, 8, 8, 4)
    options = {"input": [x], "Tout": [tf.float32]}
    if op == "Case":
        made = tf.raw_ops.Case(branch_index=predicate, branches=[other, chosen], **options)
    else:
        kind = getattr(tf.raw_ops, op)
        made = kind(cond=predicate, then_branch=chosen, else_branch=other, **options)
    tf.identity(made[0], name="o")


@pytest.mark.parametrize(
    ("op", "predicate", "taken"),
    [
        ("If", True, True),
        ("If", 0, False),
        ("StatelessIf", False, False),
        ("Case", 1, True),
        ("Case", 0, False),
        ("Case", 7, True),
    ],
)
def test_a_constant_predicate_is_decided(op, predicate, taken):
    def function(tf, constant):
        branches(tf, constant, op, tf.identity(tf.constant(predicate)))

    graph, _ = check(function)
    assert len(ops(graph.to_graph_def(), "Conv2D")) == int(taken)
    assert not graph.functions


@pytest.mark.parametrize("lower", [False, True])
def test_a_frozen_keras_like_function(lower):
    """Variables, nested calls, swish with its own gradient, a loop, a conditional behind it."""
    tf = import_tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    rng = np.random.default_rng(0)
    weights = tf.Variable(rng.normal(0, 0.3, (3, 3, 4, 4)).astype(np.float32))

    @tf.function
    def inner(v):
        return tf.nn.relu(tf.nn.conv2d(v, weights, 1, "SAME")), v * 2.0

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 4], tf.float32, name="x")])
    def outer(x):
        a, b = inner(tf.nn.swish(tf.nn.conv2d(x, weights, 1, "SAME")))
        c, d = inner(a + b)
        step = lambda i, v: (i + 1, tf.nn.conv2d(v, weights, 1, "SAME"))  # noqa: E731
        looped = tf.while_loop(lambda i, v: i < 2, step, [0, c])[1]
        chosen = tf.cond(tf.reduce_mean(x) > 0, lambda: inner(looped)[0], lambda: looped * 3.0)
        return tf.nn.conv2d(chosen, weights, 1, "SAME") + d

    frozen = convert_variables_to_constants_v2(
        outer.get_concrete_function(), lower_control_flow=lower
    )
    graph_def = frozen.graph.as_graph_def()
    outputs = (frozen.outputs[0].name,)
    graph, _ = cleaned(graph_def, outputs=outputs)
    assert_equal_outputs(graph_def, graph.to_graph_def(), outputs, FEED)
    assert not ops(graph.to_graph_def(), "IdentityN")
    compilation = compiled(graph_def, FEED, outputs=outputs)
    emitted = compilation.emit()
    kernels = ops(emitted.graph_def, "_FusedQuantizedConv2D")
    assert len(kernels) == 4, compilation.grouping.described
    assert Simulation(compilation, emitted).check(FEED).worst[1] <= 1
    (wanted,), (got,) = (run(g, outputs, FEED) for g in (graph_def, emitted.graph_def))
    assert sqnr(wanted, got) > 22


def test_the_library_keeps_what_control_flow_needs():
    def function(tf, constant):
        inner = block(tf, constant(3, 3, 4, 4), constant(4))

        @tf.function
        def outer(x):
            return tf.cond(tf.reduce_mean(x) > 0, lambda: inner(x), lambda: x)

        tf.identity(inner(outer(placeholder(tf, 8, 8, 4))), name="o")

    graph, _ = check(function)
    assert len(graph.functions) == 3  # two branches, and what one of them calls
    assert len(ops(graph.to_graph_def(), "Conv2D")) == 1
