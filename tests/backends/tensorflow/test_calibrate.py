"""The calibration pass against NumPy on the same values."""

import resource

import numpy as np
import pytest
from graphs import build, data, placeholder, run

from lpot_examples.backends.tensorflow.calibrate import SAMPLE, collect
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


def test_extremes_are_exact_and_samples_unbiased(graph_def, batches):
    names = ["x", "y", "parts:1"]
    statistics = collect(graph_def, names, batches, sizes=[12], channel_tensors=names)[12]
    assert statistics.samples == 12
    for name in names:
        values = [run(graph_def, (name,), feed)[0] for feed in batches]
        every = np.concatenate([value.ravel() for value in values])
        found = statistics.tensors[name]
        assert (found.minimum, found.maximum) == (every.min(), every.max())
        assert found.seen == every.size
        assert found.counts.sum() == SAMPLE * len(batches)
        # Every batch enters with the same number of samples, whatever its size.
        wanted = np.mean([value.mean() for value in values])
        mean = (found.counts * found.centers).sum() / found.counts.sum()
        assert mean == pytest.approx(wanted, abs=0.02 * float(every.std()) + found.limit / 4096)
        channels = statistics.channels[name]
        rows = np.concatenate([value.reshape(-1, value.shape[-1]) for value in values])
        np.testing.assert_array_equal(channels.minimum, rows.min(axis=0))
        np.testing.assert_array_equal(channels.maximum, rows.max(axis=0))
        np.testing.assert_allclose(channels.mean, rows.mean(axis=0), rtol=1e-4, atol=1e-5)


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
