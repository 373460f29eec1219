import itertools
import json

import numpy as np
import pytest

from lpot_examples.benchmark.stats import LatencyStats, median_interval, paired_speedup


def stats(*rounds, **fields):
    return LatencyStats(rounds_ms=tuple(np.array(r, float) for r in rounds), **fields)


@pytest.mark.parametrize("count", [1, 2, 5, 6, 9, 12])
def test_the_interval_covers_the_median_as_often_as_it_says(count):
    # Every pattern of values below (-1) and above (+1) a median of 0 is equally likely.
    covered = 0
    for signs in itertools.product((-1.0, 1.0), repeat=count):
        interval = median_interval(signs)
        covered += interval.low < 0 < interval.high
    assert covered / 2**count == pytest.approx(median_interval(signs).confidence)


def test_the_interval_is_the_narrowest_of_at_least_95_percent():
    interval = median_interval(np.arange(20.0))
    assert (interval.low, interval.high) == (5, 14)  # table of the sign test, n = 20
    assert interval.confidence == pytest.approx(0.9586, abs=1e-4)
    assert median_interval(np.arange(6.0)).confidence == pytest.approx(0.96875)
    assert median_interval(np.arange(5.0)).confidence == pytest.approx(0.9375)


def test_percentiles_pool_all_rounds():
    s = stats([1, 2, 3], [4, 5], batch_size=4, instances=2)
    assert (s.p50, s.min, s.mean) == (3, 1, 3)
    assert s.std == pytest.approx(np.std([1, 2, 3, 4, 5], ddof=1))
    assert s.p90 == pytest.approx(4.6)
    assert s.round_medians_ms.tolist() == [2, 4.5]
    assert s.throughput == pytest.approx(2 * 4 * 1000 / 3)
    assert json.loads(json.dumps(s.to_dict()))["iterations"] == 5


def test_throughput_is_the_sum_of_instances_that_share_the_time():
    fast, slow = [1.0] * 60, [3.0] * 20  # both busy for 60 ms
    assert stats(fast + slow, instances=2).throughput == pytest.approx(1000 / 1 + 1000 / 3)


def test_the_paired_speedup_ignores_drift_that_both_models_see():
    drift = np.linspace(1, 3, 10)
    baseline = stats(*([10 * d] for d in drift))
    model = stats(*([5 * d] for d in drift))
    speedup = paired_speedup(baseline, model)
    assert speedup.value == pytest.approx(2)
    assert speedup.interval.low == pytest.approx(speedup.interval.high)


def test_one_disturbed_round_does_not_move_the_speedup():
    baseline = stats(*([10] for _ in range(9)), [500])
    assert paired_speedup(baseline, stats(*([8] for _ in range(10)))).interval.high == 1.25


def test_unpaired_or_empty_timings_are_refused():
    with pytest.raises(ValueError, match="same rounds"):
        paired_speedup(stats([1], [1]), stats([1]))
    with pytest.raises(ValueError, match="at least one round"):
        stats()
    with pytest.raises(ValueError, match="no round may be empty"):
        stats([1], [])
