"""The paired bootstrap, against SciPy's and by simulation."""

import numpy as np
import pytest
from scipy import stats

from lpot_examples.evaluation import bootstrap
from lpot_examples.evaluation.bootstrap import bca, draws, replicate


def mean_of(values):
    return lambda indices: float(values[indices].mean())


def test_draws_are_always_the_same_and_of_the_right_kind():
    first, second = list(draws(40)), list(draws(40))
    assert np.array_equal(first, second)
    assert np.shape(first) == (bootstrap.RESAMPLES, 40)
    assert np.min(first) == 0 and np.max(first) == 39
    assert len({tuple(draw) for draw in first}) == bootstrap.RESAMPLES


def test_the_interval_is_scipys(monkeypatch):
    monkeypatch.setattr(bootstrap, "RESAMPLES", 9999)
    rng = np.random.default_rng(3)
    values = rng.exponential(size=80) - 0.3
    kept = replicate(mean_of(values), 80)
    found = bca(values.mean(), kept.scores, kept.left_out, level=0.95)
    ours = stats.bootstrap((values,), np.mean, n_resamples=9999, method="BCa", rng=rng)
    width = np.ptp(ours.confidence_interval)
    assert found == pytest.approx(tuple(ours.confidence_interval), abs=0.04 * width)
    # It is not the plain percentile interval: the data are skewed.
    plain = np.quantile(kept.scores, [0.025, 0.975])
    assert found[1] > plain[1] + 0.01 * width


def test_groups_left_out_give_the_same_acceleration(monkeypatch):
    values = np.random.default_rng(0).exponential(size=5000)
    ends = []
    for groups in (100, 5000):
        monkeypatch.setattr(bootstrap, "_MOST_GROUPS", groups)
        kept = replicate(mean_of(values), 5000)
        assert len(kept.left_out) == groups
        ends.append(bca(values.mean(), kept.scores, kept.left_out, level=0.95))
    assert ends[0] == pytest.approx(ends[1], abs=0.1 * np.ptp(ends[1]))


def test_draws_that_do_not_differ_give_no_interval():
    kept = replicate(lambda indices: 0.5, 20)
    assert bca(0.5, kept.scores, kept.left_out, level=0.95) is None


def test_a_score_that_is_not_finite_is_seen():
    assert replicate(lambda indices: 0.5, 20).finite
    assert not replicate(lambda indices: float("nan"), 20).finite


@pytest.mark.slow
def test_coverage_for_skewed_scores():
    """95 % aimed at; the standard error of 400 repetitions is 1.1 %."""
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(400):
        values = rng.exponential(size=200)
        kept = replicate(mean_of(values), 200)
        low, high = bca(values.mean(), kept.scores, kept.left_out, level=0.95)
        covered += low <= 1 <= high
    assert 0.91 < covered / 400 < 0.985
