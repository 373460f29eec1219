import numpy as np
import pytest

from lpot_examples.calibration.histogram import BINS, Histogram


def filled(*batches):
    histogram = Histogram()
    for batch in batches:
        array = np.asarray(batch, np.float32)
        histogram.add(array, minimum=array.min(), maximum=array.max(), size=array.size)
    return histogram


def numpy_counts(values, limit):
    return np.histogram(values.astype(np.float64), bins=BINS, range=(-limit, limit))[0]


STREAMS = {
    "grows": [np.linspace(-s, s / 2, 5001) for s in (0.3, 1.0, 7.0, 100.0)],
    "shrinks": [np.linspace(0, s, 5001) for s in (100.0, 3.0)],
    "negative": [-np.linspace(0.001, s, 5001) for s in (0.5, 4.0)],
    "signed": [np.random.default_rng(i).normal(0, 10.0**i, 20000) for i in range(3)],
    "zeros first": [np.zeros(100), np.linspace(-1, 1, 5001)],
    "powers of two": [np.array([1.0, 2.0, 4.0]), np.array([-8.0, 8.0])],
}


@pytest.mark.parametrize("name", STREAMS)
def test_counts_equal_numpy_on_the_whole_stream(name):
    histogram = filled(*STREAMS[name])
    values = np.concatenate(STREAMS[name]).astype(np.float32)
    wanted = numpy_counts(values, histogram.limit)
    # A value on an edge may fall to either side in float32.
    moved = np.abs(np.cumsum(histogram.counts) - np.cumsum(wanted)).max()
    assert moved <= max(1, 2e-4 * values.size)
    assert histogram.counts.sum() == histogram.seen == values.size
    assert (histogram.minimum, histogram.maximum) == (values.min(), values.max())
    assert histogram.limit >= np.abs(values).max() > histogram.limit / 2


def test_zeros_alone():
    histogram = filled(np.zeros(50))
    assert (histogram.minimum, histogram.maximum, histogram.limit) == (0, 0, 0)
    assert histogram.counts[BINS // 2] == 50


def test_a_copy_is_independent():
    histogram = filled([1.0, 2.0])
    copy = histogram.copy()
    histogram.add(np.array([100.0], np.float32), minimum=100.0, maximum=100.0, size=1)
    assert copy.maximum == 2.0
    assert copy.counts.sum() == 2


def test_centers_are_symmetric_and_inside():
    centers = filled([1.0]).centers
    np.testing.assert_allclose(centers, -centers[::-1])
    assert centers[-1] < 1.0
