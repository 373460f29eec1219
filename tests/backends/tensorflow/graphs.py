"""Small graphs and shortcuts shared by the tests of the compiler."""

import numpy as np

from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.passes import clean
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.testing.compilation import compile_graph
from lpot_examples.testing.simulation import int8_session

SEED = 7


def build(function):
    """Return the GraphDef of what ``function(tf, constant)`` adds to a new graph.

    ``constant(*shape, scale)`` makes random weights, the same ones every time.
    """
    tf, rng, graph = import_tensorflow(), np.random.default_rng(SEED), import_tensorflow().Graph()

    def constant(*shape, scale=0.4):
        return tf.constant(rng.normal(0, scale, shape).astype(np.float32))

    with graph.as_default():
        function(tf, constant)
    return graph.as_graph_def()


def placeholder(tf, *shape, name="x"):
    return tf.compat.v1.placeholder(tf.float32, [None, *shape], name)


def data(*shape, low=-1.0, high=1.0, seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def run(graph_def, outputs, feed, **session):
    names = [name if ":" in name else f"{name}:0" for name in outputs]
    feeds = {name if ":" in name else f"{name}:0": value for name, value in feed.items()}
    with int8_session(graph_def, **session) as opened:
        return opened.run(names, feeds)


def cleaned(graph_def, *, outputs=("o",), inputs=("x",)):
    """Return (graph, report) after all passes, having checked that the input is untouched."""
    before = graph_def.SerializeToString(deterministic=True)
    graph = Graph(graph_def, inputs=inputs, outputs=outputs)
    report = clean(graph)
    assert graph_def.SerializeToString(deterministic=True) == before
    return graph, report


def assert_equal_outputs(graph_def, other, outputs, feed):
    for one, two in zip(run(graph_def, outputs, feed), run(other, outputs, feed), strict=True):
        assert one.shape == two.shape
        assert one.dtype == two.dtype
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4 * np.abs(one).max())


def ops(graph_def, op):
    return [node.name for node in graph_def.node if node.op == op]


def compiled(graph_def, feed, *, outputs=("o",), isa=None):
    return compile_graph(graph_def, inputs=tuple(feed), outputs=outputs, batches=[feed], isa=isa)
