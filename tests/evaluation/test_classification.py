import numpy as np
import pytest

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
