import json

import numpy as np
import pytest

from lpot_examples.evaluation.evidence import Evidence, gather
from lpot_examples.evaluation.result import EvaluationResult


def again(evidence):
    return Evidence.from_dict(json.loads(json.dumps(evidence.to_dict())))


def test_right_and_wrong_answers_come_back_and_are_small():
    answers = (np.random.default_rng(0).random(50001) < 0.8).astype(float)
    evidence = gather(EvaluationResult(score=answers.mean(), per_sample=answers, samples=50001))
    assert evidence.binary
    assert np.array_equal(again(evidence).per_sample, answers)
    assert len(json.dumps(evidence.to_dict())) < 9000


def test_numbers_come_back_exactly():
    values = np.random.default_rng(0).normal(size=33)
    evidence = gather(EvaluationResult(score=values.mean(), per_sample=values, samples=33))
    assert not evidence.binary
    assert np.array_equal(again(evidence).per_sample, values)


def test_replicates_come_back_exactly():
    values = np.random.default_rng(0).random(50)
    result = EvaluationResult(
        score=float(np.median(values)),
        samples=50,
        resample=lambda indices: float(np.median(values[indices])),
    )
    evidence = gather(result)
    assert evidence.per_sample is None
    assert not evidence.binary
    for name in ("scores", "left_out"):
        kept = getattr(again(evidence).replicates, name)
        assert np.array_equal(kept, getattr(evidence.replicates, name))
    assert again(evidence).samples == 50


@pytest.mark.parametrize(
    "result",
    [
        EvaluationResult(score=0.5),
        EvaluationResult(score=0.5, per_sample=np.ones(4), samples=4),  # not its mean
        EvaluationResult(score=0.5, per_sample=np.array([0.5, np.nan]), samples=2),
        EvaluationResult(score=0.5, per_sample=np.array([0.5]), samples=1),
        EvaluationResult(score=0.5, samples=9, resample=lambda indices: float("nan")),
        EvaluationResult(score=0.5, samples=0, resample=lambda indices: 0.5),
    ],
)
def test_what_cannot_be_used_is_one_number(result):
    assert gather(result) is None
