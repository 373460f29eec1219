import numpy as np
import pytest

from lpot_examples.calibration.histogram import BINS, Histogram
from lpot_examples.calibration.ranges import ALGORITHMS, kl, minmax, mse, percentile
from lpot_examples.quantize.encoding import asymmetric


def histogram_of(values):
    array = np.asarray(values, np.float32)
    histogram = Histogram()
    histogram.add(array, minimum=array.min(), maximum=array.max(), size=array.size)
    return histogram


def gaussian(size=200_000, seed=0):
    return np.random.default_rng(seed).normal(0, 1, size)


DISTRIBUTIONS = {
    "gaussian": gaussian(),
    "rectified": np.maximum(gaussian(), 0),
    "relu6": np.clip(gaussian() * 4, 0, 6),
    "uniform": np.random.default_rng(0).uniform(-2, 1, 100_000),
    "laplace": np.random.default_rng(0).laplace(0, 1, 100_000),
    "outliers": np.concatenate([gaussian(), [60.0, -55.0]]),
    "far from zero": np.random.default_rng(0).uniform(99, 101, 1000),
    "all negative": np.random.default_rng(0).uniform(-7, -6, 1000),
    "constant": np.full(1000, 100.0),
    "negative constant": np.full(1000, -3.3),
    "zeros": np.zeros(1000),
    "nearly all zeros": np.concatenate([np.zeros(10_000), [5.0]]),
    "two values": np.array([0.0, 1e-20]),
    "huge": np.array([-3e38, 1.0, 3e38]),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_range_is_empty_or_wider_than_the_values(algorithm, name):
    values = DISTRIBUTIONS[name].astype(np.float32)
    low, high = ALGORITHMS[algorithm](histogram_of(values))
    assert values.min() <= low <= high <= values.max() or (
        # A range that an algorithm shrinks towards zero keeps the values' side of it.
        low <= high and (low >= 0 or high <= 0 or values.min() <= low)
    )
    # Most values must survive the encoding, however rare clipping is meant to be.
    values = values.astype(np.float64)
    widest = max(high, 0.0) - min(low, 0.0)
    clipped = (values < min(low, 0.0) - widest / 4) | (values > max(high, 0.0) + widest / 4)
    assert clipped.mean() < 0.02 or clipped.sum() <= 1


def test_minmax_is_exact():
    values = np.float32([0.1, -7.3, 2.2])
    assert minmax(histogram_of(values)) == (np.float32(-7.3), np.float32(2.2))


@pytest.mark.parametrize("name", ["gaussian", "laplace", "uniform"])
def test_percentile_equals_numpy_on_both_sides(name):
    values = DISTRIBUTIONS[name]
    histogram = histogram_of(values)
    low, high = percentile(histogram, percent=99.0)
    width = 2 * histogram.limit / histogram.counts.size
    assert low == pytest.approx(np.percentile(values, 0.5), abs=1.5 * width)
    assert high == pytest.approx(np.percentile(values, 99.5), abs=1.5 * width)


def test_percentile_takes_the_whole_tail_from_the_only_side():
    values = DISTRIBUTIONS["rectified"]
    histogram = histogram_of(values)
    low, high = percentile(histogram, percent=99.0)
    assert low == 0
    width = 2 * histogram.limit / histogram.counts.size
    assert high == pytest.approx(np.percentile(values, 99.0), abs=1.5 * width)


def rounding_error(values, low, high):
    encoding = asymmetric(low, high)
    return float(np.mean((encoding.dequantize(encoding.quantize(values)) - values) ** 2))


@pytest.mark.parametrize("name", ["gaussian", "rectified", "laplace", "outliers", "uniform"])
def test_mse_comes_close_to_a_brute_force_search(name):
    values = DISTRIBUTIONS[name][::10]
    low, high = mse(histogram_of(values))
    found = rounding_error(values, low, high)
    fractions = np.linspace(0.05, 1.0, 40)
    best = min(
        rounding_error(values, values.min() * f, values.max() * g)
        for f in (fractions if values.min() < 0 else [1.0])
        for g in fractions
    )
    assert found <= 1.15 * best or name == "outliers"
    assert found <= rounding_error(values, values.min(), values.max()) * 1.02


@pytest.mark.parametrize("algorithm", [kl, percentile, mse])
def test_outliers_of_a_gaussian_are_clipped_but_not_its_body(algorithm):
    values = DISTRIBUTIONS["outliers"]
    low, high = algorithm(histogram_of(values))
    if algorithm is not mse:
        assert high < 20
        assert low > -20
    assert high > 2.5
    assert low < -2.5


def test_kl_keeps_a_uniform_distribution_whole():
    low, high = kl(histogram_of(np.linspace(-1, 1, 100_001)))
    assert high > 0.9
    assert low < -0.9


def divergence(counts, bins, levels):
    """KL(P ‖ Q) of one threshold, level by level, as TensorRT's slides describe it."""
    reference = counts[:bins].astype(np.float64)
    clipped = reference.copy()
    clipped[-1] += counts[bins:].sum()
    spread = np.zeros(bins)
    for level in range(levels):
        part = slice(level * bins // levels, (level + 1) * bins // levels)
        filled = reference[part] > 0
        if filled.any():
            spread[part][filled] = reference[part].sum() / filled.sum()
    p, q = clipped / clipped.sum(), np.maximum(spread / spread.sum(), 1e-12)
    return np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0]))


@pytest.mark.parametrize("name", ["gaussian", "rectified", "relu6", "laplace", "outliers"])
def test_kl_takes_the_threshold_of_least_divergence(name):
    histogram = histogram_of(DISTRIBUTIONS[name])
    counts, half = histogram.counts, BINS // 2
    magnitudes = counts[half:] + counts[:half][::-1]
    magnitudes[0] = min(magnitudes[:2])
    levels = 128 if histogram.minimum < 0 else 256
    peak = int(np.flatnonzero(magnitudes)[-1]) + 1
    candidates = [*range(min(levels, peak), peak, 8), peak]
    found = [divergence(magnitudes, bins, levels) for bins in candidates]
    threshold = candidates[int(np.argmin(found))] * histogram.limit / half
    wanted = max(histogram.minimum, -threshold), min(histogram.maximum, threshold)
    assert kl(histogram) == pytest.approx(wanted)
