import numpy as np
import pytest

from lpot_examples.data.arrays import ArrayBatches
from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.classification import TopKEvaluation


def evaluation(labels, **options):
    """Batches whose inputs are the scores themselves, so that the identity is the model."""
    rng = np.random.default_rng(0)
    scores = rng.random((len(labels), 10)).astype(np.float32)
    batches = [(scores[i : i + 4], labels[i : i + 4]) for i in range(0, len(labels), 4)]
    return TopKEvaluation(batches, samples=len(labels), classes=10, **options), scores


def test_scores_progress_and_per_sample():
    labels = np.arange(10) % 7
    score, scores = evaluation(labels)
    calls = []
    result = score(lambda batch: batch[:, None, None, :], progress=lambda *at: calls.append(at))
    expected = scores.argmax(axis=1) == labels
    assert result.metric == "top-1" and result.samples == score.samples == 10
    assert result.per_sample.tolist() == expected.tolist()
    assert result.score == result.details["top-1"] == expected.mean()
    assert result.details["top-5"] >= result.score
    assert calls == [(4, 10), (8, 10), (10, 10)]


def test_label_shift_skips_the_background_class():
    shifted, scores = evaluation(np.arange(6), label_shift=1)
    expected = (scores.argmax(axis=1) == np.arange(6) + 1).mean()
    assert shifted(lambda batch: batch).score == expected


@pytest.mark.parametrize(
    ("model", "gave"),
    [
        (lambda batch: batch[:, :9], r"\[4, 9\]"),
        (lambda batch: batch[:3], r"\[3, 10\]"),
        (lambda batch: (batch, batch), "tuple"),
        (lambda batch: np.float32(1), "float32"),
        (lambda batch: np.zeros(()), r"\[\]"),
    ],
)
def test_an_output_that_does_not_fit_is_an_error(model, gave):
    score, _ = evaluation(np.arange(4))
    with pytest.raises(EvaluationError, match=rf"10 class scores.*gave {gave}"):
        score(model)


def test_no_samples_is_an_error():
    with pytest.raises(EvaluationError, match="at least one sample"):
        TopKEvaluation([], samples=0, classes=3)(lambda batch: batch)


class Few:
    """A monitor that reverses the order and stops after a number of samples."""

    def __init__(self, wanted):
        self.wanted, self.seen = wanted, {}

    def order(self, samples):
        return np.arange(samples)[::-1]

    def __call__(self, scores, indices):
        self.seen |= dict(zip(indices.tolist(), scores.tolist(), strict=True))
        return len(self.seen) >= self.wanted


def test_a_monitor_orders_the_samples_and_may_end_it():
    rng = np.random.default_rng(0)
    scores, labels = rng.random((50, 10)).astype(np.float32), np.arange(50) % 7
    batches = ArrayBatches(scores, labels, batch_size=4)
    score = TopKEvaluation(batches, samples=50, classes=10)
    whole = score(lambda batch: batch)
    reordered = score(lambda batch: batch, monitor=(every := Few(99)))
    assert reordered.per_sample.tolist() == whole.per_sample.tolist()
    assert [every.seen[row] for row in range(50)] == whole.per_sample.tolist()
    part = score(lambda batch: batch, monitor=(some := Few(10)))
    assert part.samples == len(some.seen) == 12
    assert part.per_sample.tolist() == whole.per_sample[-12:].tolist()


def test_batches_in_one_order_only_are_evaluated_to_the_end():
    score, _ = evaluation(np.arange(12) % 7)
    assert score(lambda batch: batch, monitor=Few(1)).samples == 12
