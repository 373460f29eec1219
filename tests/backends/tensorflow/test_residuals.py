"""Residual sums inside kernels: they overwrite their summand, so every reader of it matters."""

import numpy as np
import pytest
from graphs import build, compiled, data, placeholder, run

from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.simulation import Simulation, int8_session


def conv(tf, constant, x, channels=8, kernel=3):
    weights = constant(kernel, kernel, int(x.shape[3]), channels, scale=0.25 / kernel * 2)
    return tf.nn.bias_add(tf.nn.conv2d(x, weights, 1, "SAME"), constant(channels))


def stem(tf, constant):
    return tf.nn.relu(conv(tf, constant, placeholder(tf, 8, 8, 4)))


def plain(tf, constant):
    x = stem(tf, constant)
    tf.nn.relu(x + conv(tf, constant, conv(tf, constant, x)), name="o")


def summand_read_later(tf, constant):
    x = stem(tf, constant)
    added = tf.nn.relu(conv(tf, constant, x) + x)
    tf.add(conv(tf, constant, added), tf.sin(conv(tf, constant, x)), name="o")


def summand_read_in_fp32(tf, constant):
    x = stem(tf, constant)
    added = conv(tf, constant, x) + x
    tf.add(tf.sin(x), added, name="o")


def summand_is_an_output(tf, constant):
    x = tf.identity(stem(tf, constant), name="p")
    tf.add(conv(tf, constant, x), x, name="o")


def summand_is_the_input_of_the_convolution(tf, constant):
    x = conv(tf, constant, placeholder(tf, 8, 8, 4))
    tf.nn.relu(conv(tf, constant, x) + x, name="o")


def summand_is_the_placeholder(tf, constant):
    x = placeholder(tf, 8, 8, 4)
    tf.nn.relu(conv(tf, constant, x, channels=4) + x, name="o")


def both_are_convolutions(tf, constant):
    x = stem(tf, constant)
    tf.nn.relu(conv(tf, constant, x, kernel=1) + conv(tf, constant, x), name="o")


def one_summand_of_three_sums(tf, constant):
    x = stem(tf, constant)
    sums = [conv(tf, constant, x) + x for _ in range(3)]
    tf.add_n([tf.sin(value) for value in sums], name="o")


def sum_of_sums(tf, constant):
    x = stem(tf, constant)
    one, two = conv(tf, constant, x) + x, conv(tf, constant, x) + x
    three = conv(tf, constant, one) + two
    tf.identity(conv(tf, constant, three) + one, name="o")


def chain_of_blocks(tf, constant):
    x = stem(tf, constant)
    for _ in range(3):
        x = tf.nn.relu(conv(tf, constant, tf.nn.relu(conv(tf, constant, x))) + x)
    tf.identity(x, name="o")


def chain_of_linear_blocks(tf, constant):
    x = conv(tf, constant, placeholder(tf, 8, 8, 4), kernel=1)
    for _ in range(3):
        x = conv(tf, constant, tf.nn.relu6(conv(tf, constant, x, kernel=1))) * 0.5 + x
    tf.identity(x, name="o")


def summand_behind_movement(tf, constant):
    x = stem(tf, constant)
    pooled = tf.nn.max_pool2d(x, 2, 2, "SAME")
    shuffled = tf.gather(pooled, [7, 6, 5, 4, 3, 2, 1, 0], axis=3)
    added = conv(tf, constant, pooled) + shuffled
    tf.concat([tf.nn.relu(added), tf.split(x, 2, 1)[0][:, :, :4]], 3, name="o")


FUSED = {
    plain: 1,
    summand_read_later: 2,
    summand_read_in_fp32: 1,
    summand_is_an_output: 1,
    summand_is_the_input_of_the_convolution: 1,
    summand_is_the_placeholder: 1,
    both_are_convolutions: 1,
    one_summand_of_three_sums: 3,
    sum_of_sums: 4,
    chain_of_blocks: 3,
    chain_of_linear_blocks: 3,
    summand_behind_movement: 1,
}


def outputs(function):
    return ("o", "p") if function is summand_is_an_output else ("o",)


@pytest.mark.parametrize("function", FUSED, ids=lambda function: function.__name__)
def test_sums_are_fused_right_at_any_batch_and_thread_count(function):
    network = compiled(build(function), {"x": data(8, 8, 8, 4)}, outputs=outputs(function))
    emitted = network.emit()
    assert len(emitted.plan.sums) == FUSED[function]
    for batch, inter_op in ((1, 1), (4, 4)):
        simulation = Simulation(network, emitted, inter_op=inter_op)
        feed = {"x": data(batch, 8, 8, 4, seed=batch)}
        deviation = simulation.check(feed)
        assert deviation.worst[1] <= 1, deviation.worst
        first = simulation.run_int8(feed)
        for got, wanted in zip(first, simulation.run(feed), strict=True):
            assert sqnr(wanted, got) > 30
        for _ in range(20):
            for got, wanted in zip(simulation.run_int8(feed), first, strict=True):
                np.testing.assert_array_equal(got, wanted)


def test_a_session_without_optimizers_gives_the_same():
    network = compiled(build(one_summand_of_three_sums), {"x": data(8, 8, 8, 4)})
    emitted, feed = network.emit(), {"x": data(2, 8, 8, 4, seed=3)}
    plain_run = run(emitted.graph_def, ("o",), feed, optimize=False)
    np.testing.assert_array_equal(run(emitted.graph_def, ("o",), feed)[0], plain_run[0])


def test_a_summand_that_would_be_broadcast_is_added_in_fp32():
    def function(tf, constant):
        x = placeholder(tf, 8, 8, 4)
        one = tf.compat.v1.placeholder(tf.float32, [1, 8, 8, 4], "y")
        tf.nn.relu(conv(tf, constant, x, channels=4) + one, name="o")

    feed = {"x": data(3, 8, 8, 4), "y": data(1, 8, 8, 4)}
    network = compiled(build(function), feed)
    emitted = network.emit()
    assert not emitted.plan.sums
    assert Simulation(network, emitted).check(feed).worst[1] <= 1


def test_concurrent_runs_of_one_session_agree():
    from concurrent.futures import ThreadPoolExecutor

    network = compiled(build(chain_of_blocks), {"x": data(8, 8, 8, 4)})
    session = int8_session(network.emit().graph_def, inter_op=4)
    feeds = [{"x:0": data(2, 8, 8, 4, seed=seed)} for seed in range(4)]
    alone = [session.run("o:0", feed) for feed in feeds]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            together = list(pool.map(lambda feed: session.run("o:0", feed), feeds))
            for one, two in zip(alone, together, strict=True):
                np.testing.assert_array_equal(one, two)
