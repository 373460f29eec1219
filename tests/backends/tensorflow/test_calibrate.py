"""The calibration pass against NumPy on the same values."""

import resource

import numpy as np
import pytest
from graphs import build, data, placeholder, run

from lpot_examples.backends.tensorflow.calibrate import FEWEST, MOST, collect
from lpot_examples.errors import ModelError


def network(tf, constant):
    x = placeholder(tf, 16, 16, 3)
    y = tf.nn.relu(tf.nn.conv2d(x, constant(3, 3, 3, 8), 1, "SAME"), name="y")
    tf.split(y, 2, 3, name="parts")
    tf.identity(tf.math.log(tf.reduce_sum(y, [1, 2, 3]) - 1e6), name="undefined")


@pytest.fixture(scope="module")
def graph_def():
    return build(network)


@pytest.fixture(scope="module")
def batches():
    return [{"x": data(size, 16, 16, 3, high=1.0 + size, seed=size)} for size in (4, 7, 1)]


def test_extremes_are_exact_and_small_tensors_counted_whole(graph_def, batches):
    names = ["x", "y", "parts:1"]
    statistics = collect(graph_def, names, batches, sizes=[12], channel_tensors=names)[12]
    assert statistics.samples == 12
    for name in names:
        values = [run(graph_def, (name,), feed)[0] for feed in batches]
        every = np.concatenate([value.ravel() for value in values])
        found = statistics.tensors[name]
        assert (found.minimum, found.maximum) == (every.min(), every.max())
        assert found.seen == found.counts.sum() == every.size
        wanted = np.histogram(every.astype(np.float64), 4096, (-found.limit, found.limit))[0]
        # A network of eight samples rounds otherwise than one of four.
        assert np.abs(np.cumsum(found.counts) - np.cumsum(wanted)).max() <= 1e-3 * every.size
        channels = statistics.channels[name]
        rows = np.concatenate([value.reshape(-1, value.shape[-1]) for value in values])
        np.testing.assert_allclose(channels.minimum, rows.min(axis=0), rtol=1e-6)
        np.testing.assert_allclose(channels.maximum, rows.max(axis=0), rtol=1e-6)
        np.testing.assert_allclose(channels.mean, rows.mean(axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 16])
def test_samples_of_large_tensors_are_unbiased(channels):
    """Every channel and every place has its share, and so has every sample of a batch."""

    def large(tf, constant):
        tf.nn.relu(placeholder(tf, 64, 96, channels), name="y")

    shape = (8, 64, 96, channels)
    places = np.linspace(0, 3, 96)[:, None] * np.linspace(0.1, 2, channels)
    ramp = places + np.linspace(0, 4, 8).reshape(8, 1, 1, 1)
    feed = {"x": (data(*shape, low=0.0) + ramp).astype(np.float32)}
    found = collect(build(large), ["y"], [feed], sizes=[1 << 30], channel_tensors=["y"])[1 << 30]
    histogram = found.tensors["y"]
    assert histogram.counts.sum() == 8 * FEWEST
    assert histogram.maximum == feed["x"].max()
    mean = (histogram.counts * histogram.centers).sum() / histogram.counts.sum()
    assert mean == pytest.approx(float(feed["x"].mean()), abs=0.02 * float(feed["x"].std()))
    np.testing.assert_array_equal(found.channels["y"].maximum, feed["x"].max(axis=(0, 1, 2)))
    np.testing.assert_allclose(found.channels["y"].mean, feed["x"].mean(axis=(0, 1, 2)), rtol=0.02)
    few = collect(build(large), ["y"], [feed], sizes=[8])[8].tensors["y"]
    assert few.counts.sum() == 8 * min(MOST, 64 * 96 * channels)


def test_the_same_data_give_the_same_bits(graph_def, batches):
    one, other = (
        collect(graph_def, ["x", "y"], batches, sizes=[12], channel_tensors=["y"])[12]
        for _ in range(2)
    )
    for name in ("x", "y"):
        np.testing.assert_array_equal(one.tensors[name].counts, other.tensors[name].counts)
    np.testing.assert_array_equal(one.channels["y"].total, other.channels["y"].total)


def test_a_network_of_one_batch_size_is_run_as_it_came():
    """Its input seems to take any number of samples; a shape within takes one alone."""

    def single(tf, constant):
        x = tf.reshape(placeholder(tf, 4, 4, 3), [1, 4, 4, 3])
        tf.nn.conv2d(x, constant(3, 3, 3, 8), 1, "SAME", name="y")

    seen = []
    feeds = [{"x": data(1, 4, 4, 3, seed=seed)} for seed in range(5)]
    found = collect(build(single), ["y"], feeds, sizes=[5], progress=seen.append)[5]
    assert seen == [1, 2, 3, 4, 5]
    assert found.tensors["y"].seen == 5 * 4 * 4 * 8


def test_images_of_several_sizes():
    def any_size(tf, constant):
        x = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], "x")
        tf.nn.conv2d(x, constant(3, 3, 3, 8), 1, "SAME", name="y")

    feeds = [{"x": data(1, size, 9, 3, seed=size)} for size in (40, 40, 70, 9)]
    seen, names = [], ["x", "y"]
    found = collect(build(any_size), names, feeds, sizes=[4], progress=seen.append)[4]
    assert seen == [2, 3, 4]
    largest = max(feed["x"].max() for feed in feeds)
    assert found.tensors["x"].maximum == largest
    assert found.tensors["y"].seen == 9 * 8 * (40 + 40 + 70 + 9)


def test_snapshots_hold_the_batches_up_to_a_size(graph_def, batches):
    seen = []
    result = collect(graph_def, ["y"], batches, sizes=[4, 5, 100], progress=seen.append)
    assert seen == [4, 11, 12]
    assert {size: found.samples for size, found in result.items()} == {4: 4, 5: 11, 100: 12}
    alone = collect(graph_def, ["y"], batches[:1], sizes=[4])[4]
    np.testing.assert_array_equal(result[4].tensors["y"].counts, alone.tensors["y"].counts)
    assert result[4].tensors["y"].maximum == alone.tensors["y"].maximum


def test_a_value_that_is_not_finite_names_its_tensor(graph_def, batches):
    with pytest.raises(ModelError, match="not finite at 'undefined'"):
        collect(graph_def, ["y", "undefined"], batches, sizes=[12])


def test_memory_does_not_grow_with_the_samples(graph_def):
    def stream(count):
        for seed in range(count):
            yield {"x": data(8, 16, 16, 3, seed=seed)}

    collect(graph_def, ["x", "y"], stream(20), sizes=[8], channel_tensors=["x", "y"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    collect(graph_def, ["x", "y"], stream(400), sizes=[8], channel_tensors=["x", "y"])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # 400 batches would hold 20 MB of input and 52 MB of activations.
    assert grown < 12_000


def test_statistics_survive_their_file(graph_def, batches, tmp_path):
    names = ["x", "y"]
    statistics = collect(graph_def, names, batches, sizes=[12], channel_tensors=names)[12]
    path = tmp_path / "statistics.npz"
    statistics.save(path)
    loaded = type(statistics).load(path)
    for algorithm in ("minmax", "percentile", "kl", "mse"):
        assert loaded.range("y", algorithm) == statistics.range("y", algorithm)
    np.testing.assert_array_equal(loaded.channels["y"].mean, statistics.channels["y"].mean)
    assert loaded.samples == 12
