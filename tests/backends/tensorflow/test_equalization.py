"""Channel factors: what they are, where they must not be, and that they only ever help."""

from dataclasses import replace

import numpy as np
import pytest
from graphs import build, compiled, data, ops, placeholder, run

from lpot_examples.backends.tensorflow.emit.factors import Tracker, propagate, stretch
from lpot_examples.backends.tensorflow.kernels import MOVEMENTS
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


def fair_head(tf, x, loudness):
    """Read quiet channels with large weights, so that all channels matter alike."""
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


def prepared(function, *, samples=8):
    """Return (compilation, output names, probe) for one of the graphs below."""
    graph_def = build(function)
    inputs = ops(graph_def, "Placeholder")
    outputs = tuple(n.name for n in graph_def.node if n.name in ("o", "middle"))
    feed = {name: data(samples, 6, 6, 4, seed=index) for index, name in enumerate(inputs)}
    probe = {name: data(16, 6, 6, 4, seed=50 + index) for index, name in enumerate(inputs)}
    return compiled(graph_def, feed, outputs=outputs), outputs, probe


@pytest.mark.parametrize("name", GRAPHS)
def test_outputs_come_closer_to_fp32(name):
    network, outputs, probe = prepared(GRAPHS[name])
    fp32 = run(network.graph_def, outputs, probe)
    found = {}
    for strength in (0.0, 0.5, 1.0):
        config = TuningConfig(equalization=strength)
        emitted = network.emit(config)
        assert bool(emitted.plan.factors) == (strength > 0)
        simulation = Simulation(network, emitted, config)
        assert simulation.check(probe).worst[1] <= 1
        pairs = zip(fp32, simulation.run_int8(probe), strict=True)
        found[strength] = [sqnr(wanted, got) for wanted, got in pairs]
    for plain, half, full in zip(*found.values(), strict=True):
        assert min(half, full) > plain + 10
        assert min(half, full) > 23


@pytest.mark.parametrize(("strength", "loss"), [(0.5, 0.5), (1.0, 1.5)])
@pytest.mark.parametrize("seed", range(4))
def test_even_channels_lose_nothing(strength, loss, seed):
    """Where all channels are about as loud there is little to gain, and nothing to lose.

    That takes enough calibration data: stretched channels have less room for larger values.
    """

    def function(tf, constant):
        x = tf.nn.relu(uneven(tf, placeholder(tf, 6, 6, 4), 12, kernel=3, seed=seed))
        y = tf.nn.relu(uneven(tf, x, 12, kernel=3, seed=seed + 20))
        tf.identity(uneven(tf, tf.concat([x, y], 3), 8, seed=seed + 40), name="o")

    network, outputs, probe = prepared(function, samples=512)
    (fp32,) = run(network.graph_def, outputs, probe)
    results = [network.emit(TuningConfig(equalization=s)).graph_def for s in (0.0, strength)]
    plain, stretched = (sqnr(fp32, run(graph, outputs, probe)[0]) for graph in results)
    assert stretched > plain - loss


def exact_branches(tf, constant):
    """Channels of one-hot data reach 8, 4, 2, 1, joined with 0.5 and −0.25."""
    x = placeholder(tf, 2, 2, 4)
    wide = tf.nn.conv2d(x, np.diag([8, 4, 2, 1]).reshape(1, 1, 4, 4).astype(np.float32), 1, "SAME")
    weights = np.zeros((1, 1, 4, 2), np.float32)
    weights[0, 0, 0] = 0.5, -0.25
    narrow = tf.nn.conv2d(x, weights, 1, "SAME", name="narrow")
    both = tf.concat([wide, narrow], 3, name="both")
    tf.nn.conv2d(both[:, :, :, 1::2], constant(1, 1, 3, 4), 1, "SAME", name="o")


ONE_HOT = np.eye(4, dtype=np.float32).reshape(1, 2, 2, 4)


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_factors_by_hand(strength):
    """A channel of the range [low, high] in [−0.25, 8] uses max(low / −0.25, high / 8) of it."""
    network = compiled(build(exact_branches), {"x": ONE_HOT})
    plan = network.emit(TuningConfig(equalization=strength)).plan
    used = np.array([1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1])
    wanted = used**strength
    np.testing.assert_allclose(plan.factors["Conv2D"], wanted[:4], rtol=1e-6)
    np.testing.assert_allclose(plan.factors["narrow"], wanted[4:], rtol=1e-6)
    np.testing.assert_allclose(plan.factors["both"], wanted, rtol=1e-6)
    np.testing.assert_allclose(plan.factors["strided_slice"], wanted[1::2], rtol=1e-6)
    assert set(plan.factors) == {"Conv2D", "narrow", "both", "strided_slice"}
    assert plan.encodings["both"].high == pytest.approx(8, rel=0.01)


def test_codes_by_hand():
    """At full strength the peak of every nonnegative channel has the code of the encoding's end."""
    network = compiled(build(exact_branches), {"x": ONE_HOT})
    config = TuningConfig(equalization=1.0)
    emitted = network.emit(config)
    codes = Simulation(network, emitted, config).check({"x": ONE_HOT}).int8["both"]
    zero = emitted.plan.encodings["both"].zero_point
    assert zero > 0
    peaks = codes[0].reshape(4, 6).astype(int)
    assert [int(peaks[i, i]) for i in range(4)] == pytest.approx([255] * 4, abs=1)
    assert peaks[0, 4] == pytest.approx(255, abs=1)
    assert peaks[0, 5] == 0
    assert np.all(peaks[1:, 4:] == zero)


def test_real_values_behind_a_stretched_tensor_are_codes_times_factors():
    network = compiled(build(exact_branches), {"x": ONE_HOT}, outputs=("o", "both"))
    emitted = network.emit(TuningConfig(equalization=1.0))
    (both,) = run(emitted.graph_def, ("both",), {"x": ONE_HOT})
    (wanted,) = run(network.graph_def, ("both",), {"x": ONE_HOT})
    steps = emitted.plan.encodings["both"].scale * emitted.plan.factors["both"]
    assert np.all(np.abs(both - wanted) <= 0.51 * steps)
    assert len(ops(emitted.graph_def, "Dequantize")) == 2  # 'both' and 'o'


def test_stretch():
    low, high = np.array([0.0, -1, 0, -4]), np.array([2.0, 1, 0, 8])
    np.testing.assert_allclose(stretch((low, high), (-4, 8), 1.0), [1 / 4, 1 / 4, 2**-8, 1])
    np.testing.assert_allclose(stretch((low, high), (-4, 8), 0.5), [1 / 2, 1 / 2, 2**-4, 1])
    np.testing.assert_array_equal(stretch((low, high), (-4, 8), 0.0), np.ones(4))
    # A range without negative values, and values beyond a clipped range.
    beyond = np.array([16.0, 2])
    np.testing.assert_allclose(stretch((np.zeros(2), beyond), (0, 8), 1.0), [1, 1 / 4])


def test_depthwise_readers_get_more_than_the_strength():
    """Their weights have a scale per channel, so that stretching costs them nothing."""
    network, _, _ = prepared(depthwise_chain)
    plan = network.emit(TuningConfig(equalization=0.5)).plan
    high = network.statistics.channels["Relu"].maximum
    wanted = (high / high.max()) ** 0.75
    np.testing.assert_allclose(plan.factors["Relu"], wanted, rtol=1e-3)


def _residual(tf, x):
    y = uneven(tf, x, 8, loudness=LOUDNESS, seed=1)
    return tf.nn.relu(y + x)


def _reshaped(tf, x):
    return tf.reshape(x, [-1, 6, 3, 16])


def _transposed(tf, x):
    return tf.transpose(x, [0, 2, 1, 3])


def _gathered(tf, x):
    return tf.gather(x, np.arange(7, -1, -1), axis=3)


def _joined_spatially(tf, x):
    return tf.concat([x, x], 1)


def _padded_channels(tf, x):
    return tf.nn.max_pool2d(tf.pad(x, [[0, 0], [0, 0], [0, 0], [2, 2]]), 2, 1, "SAME")


def _split_spatially(tf, x):
    return tf.split(x, 2, 1)[0]


def _rectified_later(tf, x):
    return tf.nn.relu6(tf.concat([x, x], 3))


EXCLUDED = [
    _residual,
    _reshaped,
    _transposed,
    _gathered,
    _joined_spatially,
    _padded_channels,
    _split_spatially,
    _rectified_later,
]


@pytest.mark.parametrize("moved", EXCLUDED, ids=lambda function: function.__name__)
def test_classes_that_cannot_have_factors(moved):
    def function(tf, constant):
        x = tf.nn.relu(uneven(tf, placeholder(tf, 6, 6, 4), 8, loudness=LOUDNESS), name="x1")
        y = moved(tf, x)
        tf.identity(uneven(tf, y, 4, seed=3), name="o")

    network, _, probe = prepared(function)
    config = TuningConfig(equalization=1.0)
    emitted = network.emit(config)
    assert emitted.plan.factors == {}
    assert "x1" in emitted.plan.encodings
    assert emitted.graph_def == network.emit().graph_def
    assert Simulation(network, emitted, config).check(probe).worst[1] <= 1


def test_what_no_int8_op_reads_keeps_one_scale():
    """A channel of an output may be quiet on the calibration data and loud later."""

    def function(tf, constant):
        x = uneven(tf, placeholder(tf, 6, 6, 4), 8, loudness=LOUDNESS)
        tf.nn.max_pool2d(x, 2, 2, "SAME", name="o")

    network, _, _ = prepared(function)
    emitted = network.emit(TuningConfig(equalization=1.0))
    assert emitted.plan.factors == {}
    assert "o" in emitted.plan.encodings


def test_channels_that_were_not_observed_keep_one_scale():
    network, _, _ = prepared(concat_of_branches)
    blind = replace(network.statistics, channels={})
    plan = network.emitter.emit(TuningConfig(equalization=1.0), blind).plan
    assert plan.factors == {}


def test_relu6_of_quiet_channels_is_not_clipped_early():
    """Calibration saw less than 6 in a class whose signed encoding ends beyond 6.

    Values between the calibrated range and the end of the encoding must come through in every
    channel, and none may exceed 6.
    """

    def function(tf, constant):
        x, rng = placeholder(tf, 4, 4, 8), np.random.default_rng(0)
        loudness = np.array([1, 0.3, 0.05, 0.02])
        positive = (rng.uniform(1, 1.5, (1, 1, 8, 4)) * loudness).astype(np.float32)
        made = tf.nn.relu6(tf.nn.conv2d(x, positive, 1, "SAME") * 2.0)
        negative = -np.abs(rng.normal(0, 4, (1, 1, 8, 4))).astype(np.float32)
        both = tf.concat([made, tf.nn.conv2d(x, negative, 1, "SAME")], 3)
        tf.nn.conv2d(both, constant(3, 3, 8, 4), 1, "SAME", name="o")

    hot = np.eye(8, dtype=np.float32)[np.random.default_rng(0).integers(0, 8, (4, 4, 4))]
    network = compiled(build(function), {"x": hot})
    probe = {"x": data(8, 4, 4, 8, low=0.0)}
    for strength in (0.0, 0.5, 1.0):
        config = TuningConfig(equalization=strength)
        emitted = network.emit(config)
        encoding = emitted.plan.encodings["Relu6"]
        assert encoding.dtype == "s8"
        assert encoding.high > 6
        deviation = Simulation(network, emitted, config).check(probe)
        assert deviation.worst[1] <= 1
        factors = emitted.plan.factors.get("Relu6", np.ones(4))
        made = encoding.dequantize(deviation.int8["Relu6"]) * factors
        assert made.max() <= 6 + encoding.scale / 2


def test_tracker_follows_channels():
    """Channels that hold their own factors must come out where the tracker says."""

    def function(tf, constant):
        x = placeholder(tf, 6, 6, 8)
        x = tf.nn.max_pool2d(tf.nn.relu(x), 2, 1, "SAME")
        x = tf.nn.avg_pool2d(x, 2, 1, "VALID")
        x = tf.compat.v1.image.resize_nearest_neighbor(x, [6, 6])
        parts = tf.split(tf.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0]]), 4, -1)
        joined = tf.concat([parts[2], parts[0], parts[2]], 3)
        x = tf.concat([joined[..., -1:-9:-3], joined[:, :, :, 1:5:2], joined[:, :, :, 2:]], -1)
        tf.identity(x[:, 1:3, ::2], name="o")

    network = compiled(build(function), {"x": data(1, 6, 6, 8)})
    graph = network.graph
    tracker, factors = Tracker(graph, network.shapes), np.arange(1, 9, dtype=np.float32)
    feed = {"x": np.broadcast_to(factors, (1, 6, 6, 8)).copy()}
    movements = [name for name in graph.topological() if graph.nodes[name].op in MOVEMENTS]
    assert {graph.nodes[name].op for name in movements} >= {*_FOLLOWED, "StridedSlice"}
    assert all(tracker.trackable(name) for name in movements)
    found = propagate(tracker, movements, graph, {"x": factors})
    names = list(found)
    for name, value in zip(names, run(network.graph_def, names, feed), strict=True):
        np.testing.assert_array_equal(value[0, 1, 1], found[name])


_FOLLOWED = ("MaxPool", "AvgPool", "Relu", "ResizeNearestNeighbor", "Pad", "Split", "ConcatV2")
