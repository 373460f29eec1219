"""The index over nodes: what it shares with the model, and parts of it."""

import numpy as np
from graphs import build, cleaned, data, ops, placeholder, run

from lpot_examples.backends.tensorflow.graphdef import Graph, make_constant
from lpot_examples.backends.tensorflow.model import find_outputs


def two_heads(tf, constant):
    x = placeholder(tf, 8, 8, 4)
    weights = tf.identity(constant(3, 3, 4, 4), name="weights/read")
    y = tf.nn.relu(tf.nn.conv2d(x, weights, 1, "SAME"), name="y")
    tf.nn.conv2d(y, weights, 1, "SAME", name="o")
    tf.nn.top_k(tf.reshape(y, [-1, 256]), 3, name="top")
    tf.identity(tf.nn.top_k(tf.reshape(y, [-1, 256]), 3, name="places").indices, name="p")


def test_constants_are_shared_with_the_model_and_other_nodes_are_not():
    graph_def = build(two_heads)
    before = graph_def.SerializeToString(deterministic=True)
    graph = Graph(graph_def, inputs=("x",), outputs=("o", "p"))
    assert list(graph.nodes) == [node.name for node in graph_def.node]
    given = {node.name: node for node in graph_def.node}
    assert all(graph.nodes[name] is given[name] for name in ops(graph_def, "Const"))
    assert graph.nodes["o"] is not given["o"]
    cleaned(graph_def, outputs=("o", "p"))
    assert graph_def.SerializeToString(deterministic=True) == before


def test_a_part_of_the_graph_is_what_its_tensors_need():
    graph_def = build(two_heads)
    graph = Graph(graph_def, inputs=("x",), outputs=("o", "p"))
    part = graph.to_graph_def(["y"])
    assert len(ops(part, "Conv2D")) == 1
    assert not ops(part, "TopKV2")
    feed = {"x": data(2, 8, 8, 4)}
    np.testing.assert_array_equal(run(part, ("y",), feed)[0], run(graph_def, ("y",), feed)[0])


def test_a_node_read_by_a_later_port_only_is_no_output():
    assert set(find_outputs(build(two_heads))) == {"o", "top", "p"}


def test_values_survive_the_way_through_a_constant():
    for value in (np.float32(3), np.zeros((0, 4), np.int32), data(3, 1, 2), np.array([True])):
        graph_def = build(lambda tf, constant: tf.constant(1.0, name="o"))
        graph_def.node.append(make_constant("c", np.asarray(value)))
        found = Graph(graph_def, inputs=(), outputs=("o",)).constant("c")
        assert found.shape == np.shape(value)
        assert found.dtype == np.asarray(value).dtype
        np.testing.assert_array_equal(found, value)
        np.testing.assert_array_equal(run(graph_def, ("c",), {})[0], value)
