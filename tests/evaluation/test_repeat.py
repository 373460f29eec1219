import numpy as np
import pytest

from lpot_examples.data.arrays import ArrayBatches
from lpot_examples.evaluation.classification import TopKEvaluation
from lpot_examples.evaluation.evaluator import Evaluator
from lpot_examples.evaluation.evidence import gather
from lpot_examples.evaluation.repeat import Repeatability, compare_scores, evaluate_again


def evaluation(samples=1000):
    rng = np.random.default_rng(0)
    scores = rng.random((samples, 4)).astype(np.float32)
    labels = rng.integers(0, 4, samples)
    batches = ArrayBatches(scores, labels, batch_size=10)
    return Evaluator(TopKEvaluation(batches, samples=samples, classes=4, ks=(1,)))


def test_a_twentieth_is_evaluated_again_and_is_the_same():
    evaluator = evaluation()
    first = gather(evaluator(lambda batch: batch))
    seen = []
    again = evaluate_again(evaluator, lambda batch: seen.append(len(batch)) or batch, first)
    assert sum(seen) == again.samples == 50
    assert again.evaluated == 0.05
    assert (again.differing, again.spread) == (0, 0.0)
    assert "same result" in again.text


def test_noise_is_found_and_its_spread_is_about_right():
    evaluator, rng = evaluation(), np.random.default_rng(1)

    def noisy(batch):
        return batch + rng.normal(0, 0.2, batch.shape).astype(np.float32)

    results = [evaluator(noisy) for _ in range(30)]
    again = evaluate_again(evaluator, noisy, gather(results[0]))
    assert again.differing > 3
    differences = np.diff([result.score for result in results])[::2]
    assert 0.4 < again.spread / np.std(differences) < 2
    assert "scored differently" in again.text
    assert Repeatability.from_dict({**again.to_dict(), "event": "repeated"}) == again


def test_what_cannot_be_stopped_is_not_repeated():
    plain = Evaluator(lambda model: 0.5)
    assert evaluate_again(plain, None, None) is None
    listed = Evaluator(lambda model: (0.5, [0, 1] * 50))
    assert evaluate_again(listed, None, gather(listed(None))) is None


@pytest.mark.parametrize("indices", [[], [1000]])
def test_reports_that_make_no_sense_are_not_compared(indices):
    def score(model, monitor=None):
        if monitor is not None:
            monitor([1.0] * len(indices), indices)
        return 1.0, np.ones(1000)

    evaluator = Evaluator(score)
    assert evaluate_again(evaluator, None, gather(evaluator(None))) is None


def test_two_scores():
    found = compare_scores(0.5, 0.53, 100)
    assert found.spread == pytest.approx(0.03)
    assert "differ by 0.03" in found.text
