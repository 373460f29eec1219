"""What Neural Compressor is asked for, from a configuration."""

from lpot_examples.backends.neural_compressor.recipe import RecipeBook, as_given
from lpot_examples.graph import Group, Op, OpGraph, Precision, TuningConfig


def network():
    """x ─► first ─► pool ─► second ─┬─► Concat;  x ─► raw_pool, x ─► odd (not a group)."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 4], name="x")
        weights = tf.constant(0.1, shape=[1, 1, 4, 4])
        first = tf.nn.relu(tf.nn.conv2d(x, weights, 1, "SAME", name="first"))
        pool = tf.nn.max_pool2d(first, 2, 1, "SAME", name="pool")
        second = tf.nn.conv2d(pool, weights, 1, "SAME", name="second")
        raw = tf.nn.max_pool2d(x, 2, 1, "SAME", name="raw_pool")
        odd = tf.nn.conv2d(raw, weights, 1, "SAME", name="odd")
        tf.concat([second, odd], -1, name="together")
    return graph.as_graph_def()


def group(name, *, able=True, kind="Conv2D"):
    precisions = (Precision.INT8, Precision.FP32) if able else (Precision.FP32,)
    return Group(name=name, type=kind, ops=(Op(name, kind),), precisions=precisions)


GROUPS = OpGraph((group("first"), group("second"), group("odd", able=False)))


def fp32(config, samples=8):
    return RecipeBook(GROUPS, network().node).write(config, samples).fp32


def test_what_is_no_group_and_pools_of_fp32_values_stay_fp32():
    assert fp32(TuningConfig()) == ("odd", "raw_pool")


def test_pools_and_concatenations_follow_what_they_read():
    assert fp32(TuningConfig(fp32=frozenset({"first"}))) == ("first", "odd", "pool", "raw_pool")
    both = TuningConfig(fp32=frozenset({"first", "second"}))
    assert fp32(both) == ("first", "odd", "pool", "raw_pool", "second", "together")


def test_weights_and_algorithms_of_single_ops():
    config = TuningConfig(
        fp32=frozenset({"second"}),
        per_tensor=frozenset({"first", "second"}),
        activation_algorithm="minmax",
        activation_overrides={"first": "kl", "second": "kl"},
    )
    recipe = RecipeBook(GROUPS, network().node).write(config, 8)
    assert recipe.per_tensor == ("first",)
    assert recipe.overrides == {"first": "kl"}


def test_choices_without_a_counterpart_come_to_the_same_recipe():
    book = RecipeBook(GROUPS, network().node)
    plain = book.write(TuningConfig(), 8).digest()
    assert book.write(TuningConfig(equalization=0.5, bias_correction=True), 8).digest() == plain
    assert book.write(TuningConfig(), 9).digest() != plain
    assert book.write(TuningConfig(fp32=frozenset({"first"})), 8).digest() != plain


def test_groups_that_the_clean_up_made_are_left_out():
    types = {node.name: node.op for node in network().node}
    made = OpGraph((group("first"), group("pool", kind="DepthwiseConv2dNative"), group("new")))
    described = as_given(made, types)
    assert [one.name for one in described.groups] == ["first"]
    others = {op.name: op.type for op in described.others}
    assert others["pool"] == "MaxPool"
    assert "first" not in others
    assert "Const" not in others.values()
