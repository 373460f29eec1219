"""Channel factors: what they are, where they must not be, and that they only ever help."""

import numpy as np
import pytest
from graphs import build, compiled, data, ops, placeholder, run

from lpot_examples.backends.tensorflow.emit.factors import Tracker, stretch
from lpot_examples.graph import TuningConfig
from lpot_examples.quantize.reference import sqnr
from lpot_examples.testing.simulation import Simulation


def uneven(tf, x, channels, *, kernel=1, loudness=1.0, bias=0.0, seed=0):
    """Add a convolution whose output channels are ``loudness`` (one number, or one each) loud."""
    rng, inputs = np.random.default_rng(seed + channels), int(x.shape[3])
    weights = rng.normal(0, (kernel * kernel * inputs) ** -0.5, (kernel, kernel, inputs, channels))
    made = tf.nn.conv2d(x, (weights * loudness).astype(np.float32), 1, "SAME")
    return tf.nn.bias_add(made, np.broadcast_to(bias * loudness, channels).astype(np.float32))


def wide_and_narrow(tf, x, activation):
    wide = activation(uneven(tf, x, 6, loudness=8.0, bias=0.2))
    return tf.concat([wide, activation(uneven(tf, x, 6, loudness=0.05, bias=0.2, seed=1))], 3)


def head(tf, x, kernel=1):
    """Read with weights that make up for the loudness of each channel of the calibration data."""
    return uneven(tf, x, 5, kernel=kernel, seed=9)


def fair_head(tf, x, loudness):
    rng, channels = np.random.default_rng(5), int(x.shape[3])
    weights = rng.normal(0, channels**-0.5, (1, 1, channels, 5)) / np.reshape(loudness, (-1, 1))
    return tf.nn.conv2d(x, weights.astype(np.float32), 1, "SAME")


LOUDNESS = 2.0 ** -np.arange(8)
TWO_BRANCHES = np.repeat([8.0, 0.05], 6)


def concat_of_branches(tf, constant):
    both = wide_and_narrow(tf, placeholder(tf, 6, 6, 4), tf.nn.relu)
    tf.identity(fair_head(tf, both, TWO_BRANCHES), name="o")


def concat_of_asymmetric_branches(tf, constant):
    both = wide_and_narrow(tf, placeholder(tf, 6, 6, 4), tf.identity)
    tf.identity(fair_head(tf, both, TWO_BRANCHES), name="o")


def slices_and_splits(tf, constant):
    x = tf.nn.relu(uneven(tf, placeholder(tf, 6, 6, 4), 8, loudness=LOUDNESS))
    first, second = tf.split(x, 2, 3)
    third = x[..., 1::2]
    fourth = x[:, :, :, 5:7]
    results = [
        fair_head(tf, first, LOUDNESS[:4]),
        fair_head(tf, second, LOUDNESS[4:]),
        fair_head(tf, third, LOUDNESS[1::2]),
        fair_head(tf, fourth, LOUDNESS[5:7]),
    ]
    tf.add_n(results, name="o")


def shuffled(tf, constant):
    """The shuffle of ShuffleNet, by slices: halves of every second channel, joined again."""
    x = tf.nn.relu(uneven(tf, placeholder(tf, 6, 6, 4), 8, loudness=LOUDNESS))
    even, odd = x[..., ::2], x[..., 1::2]
    again = tf.nn.relu(uneven(tf, even, 4, loudness=0.1))
    both = tf.concat([again, odd], 3)
    tf.identity(fair_head(tf, both, [*[0.1] * 4, *LOUDNESS[1::2]]), name="o")


def depthwise_chain(tf, constant):
    x = tf.nn.relu(uneven(tf, placeholder(tf, 6, 6, 4), 8, loudness=LOUDNESS))
    for _ in range(2):
        x = tf.nn.relu(tf.nn.depthwise_conv2d(x, constant(3, 3, 8, 1), [1] * 4, "SAME"))
    tf.identity(fair_head(tf, x, LOUDNESS), name="o")


def pooled_padded_resized(tf, constant):
    x = tf.nn.relu(uneven(tf, placeholder(tf, 6, 6, 4), 8, loudness=LOUDNESS))
    x = tf.concat([tf.nn.max_pool2d(x, 3, 1, "SAME"), tf.nn.avg_pool2d(x, 2, 1, "SAME")], -1)
    x = tf.nn.max_pool2d(tf.pad(x, [[0, 0], [1, 0], [0, 1], [0, 0]]), 2, 1, "VALID")
    x = tf.compat.v1.image.resize_nearest_neighbor(x, [12, 12])
    tf.identity(fair_head(tf, x, np.tile(LOUDNESS, 2)), name="o")


def relu6(gain):
    def function(tf, constant):
        x = uneven(tf, placeholder(tf, 6, 6, 4), 8, loudness=LOUDNESS * gain)
        made = tf.nn.relu6(x)
        louder = tf.nn.relu(uneven(tf, placeholder(tf, 6, 6, 4, name="y"), 4, loudness=gain))
        both = tf.concat([made, louder], 3)
        tf.identity(fair_head(tf, both, [*LOUDNESS, 1, 1, 1, 1]), name="o")

    return function


def output_in_the_middle(tf, constant):
    both = wide_and_narrow(tf, placeholder(tf, 6, 6, 4), tf.nn.relu)
    tf.identity(fair_head(tf, both, TWO_BRANCHES), name="o")
    tf.multiply(both, 1 / TWO_BRANCHES.astype(np.float32), name="middle")


def fp32_island(tf, constant):
    both = wide_and_narrow(tf, placeholder(tf, 6, 6, 4), tf.nn.relu)
    island = tf.sin(both / TWO_BRANCHES.astype(np.float32))
    again = tf.concat([island, both], 3)
    tf.identity(fair_head(tf, again, [*np.ones(12), *TWO_BRANCHES]), name="o")


def matrix_product(tf, constant):
    both = wide_and_narrow(tf, placeholder(tf, 6, 6, 4), tf.nn.relu)
    made = tf.nn.relu(fair_head(tf, both, TWO_BRANCHES))
    tf.matmul(tf.reduce_mean(made, [1, 2]), constant(5, 7), name="o")


GRAPHS = {
    "concat": concat_of_branches,
    "asymmetric": concat_of_asymmetric_branches,
    "slices": slices_and_splits,
    "shuffled": shuffled,
    "depthwise": depthwise_chain,
    "movement": pooled_padded_resized,
    "relu6_wide": relu6(6.0),
    "relu6_narrow": relu6(0.8),
    "output": output_in_the_middle,
    "island": fp32_island,
    "matmul": matrix_product,
}
