"""The score intervals: their estimates under the hypothesis, their edges and their coverage."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from lpot_examples.evaluation.matched import Matched, difference, ratio

TABLES = [
    Matched(both=36, first=12, second=2, neither=0),
    Matched(both=280, first=8, second=5, neither=207),
    Matched(both=280, first=3, second=0, neither=20),
    Matched(both=100, first=0, second=4, neither=30),
]


def likelihood(table, both, first, second):
    """The log-likelihood of three cells' shares; that of the fourth follows."""
    shares = (both, first, second, 1 - both - first - second)
    counts = (table.both, table.first, table.second, table.neither)
    if min(shares) < -1e-12:
        return -math.inf
    pairs = zip(counts, shares, strict=True)
    return sum(n * math.log(max(p, 1e-300)) for n, p in pairs if n)


def best(loss, low, high):
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    ends = min((low, high), key=loss)
    return found.x if found.fun <= loss(ends) else ends


def statistic_of_difference(table, delta):
    """The score statistic with the restricted estimate found by search."""
    n = table.samples

    def loss(second):
        first = second + delta
        rest = 1 - first - second
        known = table.both + table.neither
        share = table.both / known if known else 0.0
        return -likelihood(table, rest * share, first, second)

    second = best(loss, max(0.0, -delta), (1 - delta) / 2)
    variance = n * (2 * second + delta * (1 - delta))
    return (table.first - table.second - n * delta) / math.sqrt(variance)


def statistic_of_ratio(table, theta):
    n, rest = table.samples, 1 - table.neither / table.samples

    def first(second):
        return theta * second + (1 - theta) * rest

    low = max(0.0, -(1 - theta) * rest / theta)
    high = theta * rest / (1 + theta)
    second = best(
        lambda s: -likelihood(table, rest - s - first(s), first(s), s), low, max(low, high)
    )
    distance = table.both + table.second - theta * (table.both + table.first)
    return distance / math.sqrt(n * theta * (first(second) + second))


@pytest.mark.parametrize("table", TABLES)
def test_ends_are_where_the_score_test_just_rejects(table):
    z = norm.ppf(0.975)
    low, high = difference(table, level=0.95)
    assert statistic_of_difference(table, low) == pytest.approx(z, abs=2e-3)
    assert statistic_of_difference(table, high) == pytest.approx(-z, abs=2e-3)
    low, high = ratio(table, level=0.95)
    assert statistic_of_ratio(table, low) == pytest.approx(z, abs=2e-3)
    assert statistic_of_ratio(table, high) == pytest.approx(-z, abs=2e-3)


@pytest.mark.parametrize("table", TABLES)
def test_intervals_hold_the_estimate_and_grow_with_the_level(table):
    one, two = table.both + table.first, table.both + table.second
    for function, estimate in ((difference, (one - two) / table.samples), (ratio, two / one)):
        low, high = function(table, level=0.95)
        wider = function(table, level=0.99)
        assert wider[0] < low < estimate < high < wider[1]


def test_exchanging_the_models_mirrors_the_intervals():
    table = TABLES[1]
    other = Matched(both=280, first=5, second=8, neither=207)
    low, high = difference(table, level=0.95)
    assert difference(other, level=0.95) == pytest.approx((-high, -low))
    low, high = ratio(table, level=0.95)
    assert ratio(other, level=0.95) == pytest.approx((1 / high, 1 / low), rel=1e-6)


def test_no_disagreement_is_not_certainty():
    table = Matched(both=90, first=0, second=0, neither=10)
    low, high = difference(table, level=0.95)
    assert -0.05 < low < -0.02 < 0.02 < high < 0.05
    low, high = ratio(table, level=0.95)
    assert 0.95 < low < 0.98 < 1.02 < high < 1.05


def test_ends_stay_within_what_is_possible():
    assert difference(Matched(both=0, first=9, second=0, neither=0), level=0.95)[1] == 1.0
    assert ratio(Matched(both=0, first=9, second=0, neither=0), level=0.95) is None
    assert ratio(Matched(both=0, first=0, second=9, neither=0), level=0.95) is None


def test_counting():
    first = np.array([1.0, 1, 0, 0, 1])
    second = np.array([1.0, 0, 1, 0, 1])
    assert Matched.of(first, second) == Matched(both=2, first=1, second=1, neither=1)


@pytest.mark.parametrize(
    ("samples", "shares"),
    [(100, (0.7, 0.05, 0.02)), (500, (0.58, 0.03, 0.01)), (500, (0.85, 0.004, 0.004))],
)
def test_coverage(samples, shares):
    """95 % aimed at; the standard error of 2000 repetitions is 0.5 %."""
    rng = np.random.default_rng(7)
    both, first, second = shares
    counts = rng.multinomial(samples, (*shares, 1 - sum(shares)), size=2000)
    covered = np.zeros(2)
    for row in counts:
        table = Matched(both=row[0], first=row[1], second=row[2], neither=row[3])
        low, high = difference(table, level=0.95)
        covered[0] += low <= first - second <= high
        low, high = ratio(table, level=0.95)
        covered[1] += low <= (both + second) / (both + first) <= high
    # With seven samples that tell the models apart, few tables are likely: 93 % was measured.
    assert (covered / 2000 > (0.92 if samples < 200 else 0.94)).all(), covered / 2000
    assert (covered / 2000 < 0.98).all(), covered / 2000
