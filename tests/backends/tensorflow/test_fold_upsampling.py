"""Upsampling spelled out in reshapes becomes one op; what only looks like it stays."""

import numpy as np
import pytest
from graphs import assert_equal_outputs, build, cleaned, compiled, data, ops, placeholder, run

from lpot_examples.quantize.reference import sqnr

FEED = {"x": data(2, 5, 6, 4)}


def by_ones(tf, x, factor, swapped=False):
    n, (_, h, w, c) = tf.shape(x)[0], x.shape.as_list()
    opened = tf.reshape(x, tf.stack([n, h, 1, w, 1, c]))
    ones = tf.ones([1, 1, factor, 1, factor, 1])
    y = tf.multiply(ones, opened) if swapped else tf.multiply(opened, ones)
    return tf.reshape(y, tf.stack([n, h * factor, w * factor, c]))


def by_tile(tf, x, factor):
    n, (_, h, w, c) = tf.shape(x)[0], x.shape.as_list()
    opened = tf.reshape(x, tf.stack([n, h, 1, w, 1, c]))
    y = tf.tile(opened, [1, 1, factor, 1, factor, 1])
    return tf.reshape(y, tf.stack([n, h * factor, w * factor, c]))


def by_stack(tf, x, factor):
    n, (_, h, w, c) = tf.shape(x)[0], x.shape.as_list()
    y = tf.stack([tf.stack([x] * factor, 3)] * factor, 2)
    return tf.reshape(y, tf.stack([n, h * factor, w * factor, c]))


FORMS = (by_ones, lambda tf, x, k: by_ones(tf, x, k, swapped=True), by_tile, by_stack)


def around(enlarge, factor, height=5, width=6):
    def function(tf, constant):
        x = placeholder(tf, height, width, 4)
        y = tf.nn.bias_add(tf.nn.conv2d(x, constant(3, 3, 4, 8), 1, "SAME"), constant(8))
        y = enlarge(tf, y, factor)
        tf.nn.bias_add(tf.nn.conv2d(y, constant(3, 3, 8, 4), 1, "SAME"), constant(4), name="o")

    return build(function)


@pytest.mark.parametrize("factor", [2, 3, 7])
@pytest.mark.parametrize("enlarge", FORMS, ids=["ones", "ones_first", "tile", "stack"])
def test_every_form_becomes_one_op(enlarge, factor):
    graph_def = around(enlarge, factor)
    graph, report = cleaned(graph_def)
    assert report.applied["fold_upsampling"] == 1
    result = graph.to_graph_def()
    assert len(ops(result, "ResizeNearestNeighbor")) == 1
    assert not any(ops(result, op) for op in ("Reshape", "Mul", "Tile", "Pack", "Shape"))
    assert_equal_outputs(graph_def, result, ("o",), FEED)


def test_the_op_is_carried_in_int8():
    graph_def = around(by_ones, 2)
    emitted = compiled(graph_def, FEED).emit()
    assert emitted.plan.boundaries == ("x",)
    (fp32,), (int8,) = (run(g, ("o",), FEED) for g in (graph_def, emitted.graph_def))
    assert sqnr(fp32, int8) > 25


def not_ones(tf, x, factor):
    return tf.reshape(
        tf.multiply(tf.reshape(x, [-1, 5, 1, 6, 1, 8]), np.full([1, 1, 2, 1, 2, 1], 0.5, "f")),
        [-1, 10, 12, 8],
    )


def columns_only(tf, x, factor):
    tiled = tf.tile(tf.reshape(x, [-1, 5, 1, 6, 1, 8]), [1, 1, 1, 1, 4, 1])
    return tf.reshape(tiled, [-1, 5, 24, 8])


def rows_and_columns_swapped(tf, x, factor):
    tiled = tf.tile(tf.reshape(x, [-1, 6, 1, 5, 1, 8]), [1, 1, 2, 1, 2, 1])
    return tf.reshape(tiled, [-1, 12, 10, 8])


def batches_taken_for_pixels(tf, x, factor):
    """The product repeats nothing: its first operand has the size of the second already."""
    opened = tf.reshape(tf.tile(x, [4, 1, 1, 1]), [-1, 5, 2, 6, 2, 8])
    return tf.reshape(opened * tf.ones([1, 1, 2, 1, 2, 1]), [-1, 10, 12, 8])


def stacked_the_other_way(tf, x, factor):
    y = tf.stack([tf.stack([x] * 2, 1)] * 2, 2)
    return tf.reshape(y, [-1, 10, 12, 8])


@pytest.mark.parametrize(
    "enlarge",
    [
        not_ones,
        columns_only,
        rows_and_columns_swapped,
        batches_taken_for_pixels,
        stacked_the_other_way,
    ],
)
def test_what_only_looks_like_it_stays(enlarge):
    graph_def = around(enlarge, 2)
    graph, report = cleaned(graph_def)
    assert report.applied["fold_upsampling"] == 0
    assert_equal_outputs(graph_def, graph.to_graph_def(), ("o",), FEED)


def test_an_unknown_size_is_a_reason_to_decline():
    def enlarge(tf, x, factor):
        n, h, w, c = tf.unstack(tf.shape(x))
        opened = tf.reshape(x, tf.stack([n, h, 1, w, 1, c]))
        tiled = tf.tile(opened, [1, 1, 2, 1, 2, 1])
        return tf.ensure_shape(tf.reshape(tiled, tf.stack([n, 2 * h, 2 * w, c])), [None] * 3 + [8])

    graph_def = around(enlarge, 2, height=None, width=None)
    graph, report = cleaned(graph_def)
    assert report.applied["fold_upsampling"] == 0
    assert "the size of the image is not known" in report.declined.values()
    assert_equal_outputs(graph_def, graph.to_graph_def(), ("o",), FEED)
