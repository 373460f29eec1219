"""What is said of a drop: the right method, the right sense, and the right verdict."""

import json

import numpy as np
import pytest

from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.evidence import Evidence, gather
from lpot_examples.evaluation.interval import DropInterval, certainty, drop_interval
from lpot_examples.evaluation.matched import Matched, difference, ratio
from lpot_examples.evaluation.result import EvaluationResult


def of_scores(values):
    values = np.asarray(values, dtype=float)
    return Evidence(per_sample=values, samples=len(values))


def answers(both, first, second, neither):
    counts = (both, first, second, neither)
    one = np.repeat([1.0, 1, 0, 0], counts)
    two = np.repeat([1.0, 0, 1, 0], counts)
    return one, two


def found(one, two, criterion=None, **options):
    return drop_interval(
        of_scores(one),
        of_scores(two),
        criterion or Criterion(),
        scores=(np.mean(one), np.mean(two)),
        **options,
    )


def test_right_or_wrong_answers_take_score_intervals():
    table = Matched(both=280, first=8, second=5, neither=207)
    interval = found(*answers(280, 8, 5, 207))
    assert interval.absolute == pytest.approx(difference(table, level=0.95))
    low, high = ratio(table, level=0.95)
    assert interval.relative == pytest.approx((1 - high, 1 - low))
    assert interval.samples == 500
    assert "score" in interval.method


def test_of_errors_more_is_a_loss():
    one, two = answers(280, 8, 5, 207)
    mirrored = found(1 - one, 1 - two, Criterion(higher_is_better=False))
    assert mirrored.absolute == pytest.approx(found(one, two).absolute)
    # 212 of 500 wrong became 215: 1.4 % more errors.
    assert mirrored.relative[0] < 3 / 212 < mirrored.relative[1]


def test_other_scores_take_the_bootstrap():
    rng = np.random.default_rng(0)
    one = rng.random(300)
    two = one - rng.normal(0.02, 0.05, 300)
    interval = found(one, two)
    error = np.std(one - two) / np.sqrt(300)
    drop = np.mean(one - two)
    expected = (drop - 1.96 * error, drop + 1.96 * error)
    assert interval.absolute == pytest.approx(expected, abs=0.3 * error)
    assert interval.relative[0] < drop / one.mean() < interval.relative[1]
    assert "bootstrap" in interval.method
    worse = found(-one, -two, Criterion(higher_is_better=False))
    assert worse.absolute == pytest.approx(interval.absolute)


def test_pairing_narrows_the_interval():
    rng = np.random.default_rng(1)
    one = rng.random(200)
    close, apart = one - 0.01, rng.permutation(one) - 0.01
    widths = [np.ptp(found(one, two + rng.normal(0, 1e-3, 200)).absolute) for two in (close, apart)]
    assert widths[0] < widths[1] / 20


def test_resampled_metrics_are_paired_by_their_draws():
    rng = np.random.default_rng(2)
    one = rng.random(120)
    two = one - 0.02

    def evidence(values):
        def median(indices):
            return float(np.median(values[indices]))

        return gather(EvaluationResult(score=np.median(values), samples=120, resample=median))

    interval = drop_interval(
        evidence(one), evidence(two), Criterion(), scores=(np.median(one), np.median(two))
    )
    # Every draw drops by just as much: the draws themselves tell nothing more.
    unseen = float(np.median(one)) * (1 - 0.025 ** (1 / 120))
    assert interval.absolute == pytest.approx((0.02 - unseen, 0.02 + unseen))


def test_models_that_no_draw_tells_apart():
    values = np.linspace(0.1, 0.9, 100)
    interval = found(values, values)
    assert interval.absolute[1] == -interval.absolute[0] == pytest.approx(0.5 * 0.0362, rel=0.01)
    assert interval.relative[1] == pytest.approx(0.0362, rel=0.01)


@pytest.mark.parametrize("pair", [(None, [1, 0]), ([1, 0], None), ([1, 0], [1, 0, 1])])
def test_what_cannot_be_compared_has_no_interval(pair):
    one, two = (None if values is None else of_scores(values) for values in pair)
    assert drop_interval(one, two, Criterion(), scores=(0.5, 0.5)) is None


def test_a_score_of_zero_has_no_relative_interval():
    assert found(*answers(0, 0, 5, 95)).relative is None
    one = np.zeros(50)
    assert found(one, one + np.linspace(0, 0.1, 50)).relative is None


def test_a_spread_widens_it():
    one, two = answers(280, 8, 5, 207)
    plain, wide = found(one, two), found(one, two, spread=0.01)
    assert wide.absolute == pytest.approx((plain.absolute[0] - 0.02, plain.absolute[1] + 0.02))
    by = 0.02 / one.mean()
    assert wide.relative == pytest.approx((plain.relative[0] - by, plain.relative[1] + by))


def test_it_survives_the_journal():
    for interval in (found(*answers(280, 8, 5, 207)), found(*answers(0, 0, 5, 95))):
        assert DropInterval.from_dict(json.loads(json.dumps(interval.to_dict()))) == interval


def judged(one, two, criterion, **options):
    scores = (np.mean(one), np.mean(two))
    return certainty(found(one, two, criterion, **options), criterion, scores=scores)


def test_a_large_set_supports_the_bar():
    verdict = judged(*answers(37_500, 100, 90, 12_310), Criterion(relative=0.01))
    assert verdict.verdict == "supported"
    assert verdict.text.startswith("supported at 95 %: the loss is between ")
    assert verdict.text.endswith("+1 % is allowed")
    assert verdict.samples_needed is None


def test_a_hopeless_model_is_refuted():
    verdict = judged(*answers(300, 60, 5, 135), Criterion(absolute=0.01))
    assert verdict.verdict == "refuted"
    assert "only +0.01 is allowed" in verdict.text


def test_a_small_set_cannot_tell():
    one, two = answers(280, 8, 5, 207)
    verdict = judged(one, two, Criterion(relative=0.01))
    assert verdict.verdict == "undecided"
    assert "too small to be sure: 500 samples cannot tell a loss of -1.6 %" in verdict.text
    assert f"about {verdict.samples_needed} samples would be needed (an estimate)" in verdict.text


def test_as_many_samples_as_estimated_do_decide():
    shares = np.array([0.70, 0.012, 0.010, 0.278])
    criterion = Criterion(absolute=0.01)
    few = judged(*answers(*np.rint(shares * 500).astype(int)), criterion)
    assert few.verdict == "undecided"
    for factor, verdict in ((0.5, "undecided"), (1.3, "supported")):
        counts = np.rint(shares * factor * few.samples_needed).astype(int)
        assert judged(*answers(*counts), criterion).verdict == verdict


def test_a_bar_of_nothing_needs_more_samples_than_there_are():
    one, two = answers(280, 5, 5, 210)
    verdict = judged(one, two, Criterion(absolute=0.0))
    assert verdict.verdict == "undecided"
    assert verdict.samples_needed is None
    assert "estimate" not in verdict.text


def test_a_noisy_evaluation_is_mentioned():
    one, two = answers(37_500, 100, 90, 12_310)
    verdict = judged(one, two, Criterion(relative=0.01), spread=0.02)
    assert verdict.verdict == "undecided"
    assert "not deterministic (it varied by 0.02)" in verdict.text
