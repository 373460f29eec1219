"""Racing: how often it is wrong, what it saves, and when it must not decide."""

import numpy as np
import pytest

from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.evidence import Evidence
from lpot_examples.evaluation.racing import RISK, Gambler, Race, can_race, lower_bound
from lpot_examples.evaluation.result import EvaluationResult


def pair(samples, drop, *, disagreement=0.04, accuracy=0.75):
    """0/1 scores of two models, the second worse by exactly ``drop``."""
    right = round(accuracy * samples)
    gained = round(disagreement / 2 * samples)
    baseline = np.zeros(samples)
    baseline[:right] = 1
    candidate = baseline.copy()
    candidate[: gained + round(drop * samples)] = 0
    candidate[right : right + gained] = 1
    return baseline, candidate


def evidence(scores):
    return Evidence(per_sample=scores, samples=len(scores))


def race(baseline, candidate, criterion, *, seed=0, batch=20):
    runner = Race(evidence(baseline), criterion, seed=seed)
    order = runner.order(len(baseline))
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        if runner(candidate[rows], rows):
            break
    return runner.stop


def stops(samples, drop, criterion, *, repetitions, **options):
    baseline, candidate = pair(samples, drop, **options)
    return [race(baseline, candidate, criterion, seed=seed) for seed in range(repetitions)]


@pytest.mark.parametrize("disagreement", [0.0, 0.02, 0.2])
def test_a_candidate_that_just_meets_the_bar_is_rarely_stopped(disagreement):
    """At the bar the error is greatest; 2000 looks at each of 300 candidates, one after another."""
    criterion = Criterion(absolute=0.02)
    found = stops(1000, 0.02, criterion, repetitions=300, disagreement=disagreement)
    assert sum(stop is not None for stop in found) / 300 <= RISK + 2 * np.sqrt(RISK / 300)


def test_the_bound_holds_whenever_one_looks():
    """Coverage of the lower confidence sequence, over all times at once."""
    rng = np.random.default_rng(5)
    losses = rng.choice([-1.0, 0.0, 1.0], p=[0.03, 0.9, 0.07], size=400)
    missed = 0
    for _ in range(300):
        gambler = Gambler(400, float(losses.mean()))
        gambler.bet(rng.permutation(losses))
        missed += gambler.won(0.1)
    assert missed / 300 <= 0.1 + 2 * np.sqrt(0.09 / 300)


def test_scores_between_0_and_1_are_bounded_too():
    rng = np.random.default_rng(6)
    losses = rng.beta(2, 5, 500) - rng.beta(2, 5.5, 500)
    missed = sum(
        lower_bound(rng.permutation(losses)[:200], 500, risk=0.1) > losses.mean() for _ in range(60)
    )
    assert missed <= 6 + 5


@pytest.mark.parametrize(
    ("samples", "drop", "used"), [(1000, 0.3, 0.12), (5000, 0.05, 0.25), (50_000, 0.03, 0.08)]
)
def test_hopeless_candidates_are_stopped_early(samples, drop, used):
    found = stops(samples, drop, Criterion(absolute=0.0075), repetitions=10)
    assert all(stop is not None for stop in found)
    assert np.mean([stop.samples / stop.of for stop in found]) < used
    assert all(0.0075 < stop.bound <= drop for stop in found)


def test_a_better_candidate_is_never_stopped():
    assert stops(2000, -0.02, Criterion(relative=0.0), repetitions=20) == [None] * 20


def test_the_relative_bar_and_errors_as_metrics():
    baseline, candidate = pair(3000, 0.2)
    assert race(baseline, candidate, Criterion(relative=0.3)) is None
    assert race(baseline, candidate, Criterion(relative=0.1)).allowance == pytest.approx(0.075)
    wrong = Criterion(absolute=0.01, higher_is_better=False)
    assert race(1 - baseline, 1 - candidate, wrong).loss > 0.1
    assert race(baseline, candidate, wrong) is None


def test_the_verdict_does_not_depend_on_the_batches():
    baseline, candidate = pair(2000, 0.1)
    criterion = Criterion(absolute=0.01)
    one, hundred = (race(baseline, candidate, criterion, batch=size) for size in (1, 100))
    assert one.samples <= hundred.samples < one.samples + 100


def test_when_nothing_more_may_be_lost_the_next_loss_decides():
    """All samples but the last two agree; only a loss on both is within the bar."""
    gambler = Gambler(10, 0.0)
    gambler.bet(np.array([1.0] * 5))
    assert not gambler.won(1e-6)
    gambler.bet(np.array([0.0]))
    assert gambler.most == np.inf or gambler.won(1e-4)


@pytest.mark.parametrize(
    "report",
    [
        lambda scores, rows: (scores, rows[::-1]),
        lambda scores, rows: (scores, rows + 1),
        lambda scores, rows: (scores[:-1], rows),
        lambda scores, rows: (scores - 1, rows),
        lambda scores, rows: (scores * np.nan, rows),
    ],
)
def test_reports_that_do_not_follow_the_rules_stop_nothing(report):
    baseline, candidate = np.ones(1000), np.zeros(1000)
    runner = Race(evidence(baseline), Criterion(), seed=0)
    order = runner.order(1000)
    assert not runner(*report(candidate[order[:50]], order[:50]))
    assert not any(runner(candidate[[row]], [row]) for row in order[50:])
    assert runner.stop is None


def test_another_number_of_samples_is_not_raced():
    runner = Race(evidence(np.ones(1000)), Criterion(), seed=0)
    order = runner.order(800)
    assert order.tolist() == list(range(800))
    assert not runner(np.zeros(800), order)


def test_an_evaluation_that_goes_on_all_the_same_counts():
    baseline = np.ones(1000)
    runner = Race(evidence(baseline), Criterion(), seed=0)
    assert runner(np.zeros(100), runner.order(1000)[:100])
    assert runner.stopped(None)
    assert runner.stopped(EvaluationResult(score=0.0, samples=100))
    assert not runner.stopped(EvaluationResult(score=0.0, samples=1000))


def test_orders_differ_by_seed_and_come_again():
    orders = [Race(evidence(np.ones(300)), Criterion(), seed=s).order(300) for s in (1, 1, 2)]
    assert np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])


def test_what_cannot_be_raced_is_said():
    assert "no per-sample" in can_race(None)
    assert "fewer than" in can_race(evidence(np.ones(50)))
    assert "outside" in can_race(evidence(np.full(500, 2.0)))
    assert can_race(evidence(np.ones(500))) == ""
