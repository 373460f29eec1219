"""BLEU and SQuAD's F1."""

import numpy as np
import pytest

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.registry import make_metric

# As sacrebleu 2.6 scores them, lowercase=True, tokenize="intl".
BLEU = [
    (
        ["the cat sat on the mat .", "It costs $3.50, doesn't it?"],
        ["the cat is on the mat .", "It costs $3.50, does it not?"],
        45.479124,
    ),
    (
        ["Resumption of the session", "the the the the"],
        ["resumption of the session", "the cat the mat"],
        55.334096,
    ),
    (["a b c"], ["x y z"], 0.0),
]


@pytest.mark.parametrize(("preds", "labels", "expected"), BLEU)
def test_bleu(preds, labels, expected):
    metric = make_metric("BLEU", {})
    for one, two in zip(preds, labels, strict=True):
        metric.update([one], [two.encode()])
    result = metric.evaluate()
    assert result.score == pytest.approx(expected, abs=1e-5)
    assert result.per_sample is None  # it is no mean of sentences' scores
    assert result.resample(np.arange(len(preds))) == pytest.approx(expected, abs=1e-5)


def test_bleu_takes_tensors_of_text_and_wants_as_many():
    metric = make_metric("BLEU", {})
    metric.update(np.array([[b"one two three four"]]), np.array(["one two three four"]))
    assert metric.result() == pytest.approx(100)
    with pytest.raises(EvaluationError, match="there are 1 and 2"):
        metric.update(["a"], ["a", "b"])


def test_squad():
    article = {
        "paragraphs": [
            {
                "qas": [
                    {"id": "1", "answers": [{"text": "the Eiffel Tower"}, {"text": "Paris"}]},
                    {"id": "2", "answers": [{"text": "in 1889"}]},
                    {"id": "3", "answers": [{"text": "iron"}]},
                ]
            }
        ]
    }
    metric = make_metric("SquadF1", {})
    metric.update({"1": "Eiffel tower!", "2": "since 1889"}, [article])
    result = metric.evaluate()
    assert result.per_sample == pytest.approx([100, 50, 0])
    assert result.score == pytest.approx(50)
    metric.reset()
    metric.update({"1": "a tower"}, {"1": ["the Eiffel Tower", "Paris"]})
    assert metric.result() == pytest.approx(100 * 2 / 3)
    with pytest.raises(EvaluationError, match="they are ndarray"):
        metric.update(np.zeros((1, 384)), [article])
    with pytest.raises(EvaluationError, match="lack 'paragraphs'"):
        metric.update({}, [{"title": "x"}])
