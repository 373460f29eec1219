import numpy as np
import pytest

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.agreement import AgreementEvaluation


def batches(*sizes):
    start = 0
    for size in sizes:
        yield np.arange(start, start + size, dtype=np.float32)[:, None], None
        start += size


def evaluation(reference, *sizes, **options):
    return AgreementEvaluation(
        list(batches(*sizes)), samples=sum(sizes), reference=reference, **options
    )


def circle(x):
    return np.concatenate([np.cos(x), np.sin(x)], axis=1)


def test_the_same_network_agrees_and_the_score_is_the_cosine():
    seen = []
    score = evaluation(circle, 3, 2)
    same = score(circle, progress=lambda *at: seen.append(at))
    assert same.score == pytest.approx(1.0)
    assert (same.metric, same.samples, score.samples) == ("agreement", 5, 5)
    assert seen == [(3, 5), (5, 5)]
    turned = score(lambda x: 3 * circle(x + 0.2))  # the length does not count
    assert turned.per_sample == pytest.approx([np.cos(0.2)] * 5)
    assert turned.score == pytest.approx(np.cos(0.2))
    assert score(lambda x: -circle(x)).score == 0.0


def test_a_cosine_of_099_is_an_error_of_14_percent():
    rng = np.random.default_rng(0)
    output = rng.normal(size=(1, 100_000))
    noise = rng.normal(size=output.shape) * 0.1414
    found = evaluation(lambda _: output, 1)(lambda _: output + noise)
    assert found.score == pytest.approx(0.99, abs=5e-4)


def test_several_outputs_are_averaged_and_whole_numbers_compared():
    def reference(x):
        return circle(x), np.array([[1, 2, 3, 4]] * len(x))

    def model(x):
        return circle(x), np.array([[1, 2, 0, 0]] * len(x))

    assert evaluation(reference, 4)(model).per_sample == pytest.approx([0.75] * 4)


def test_zeros_broken_values_and_other_shapes():
    zeros = np.zeros((2, 3))
    some = np.array([[0, 0, 0], [1, 0, 0]])
    score = evaluation(lambda _: zeros, 2)
    assert score(lambda _: zeros).score == 1.0
    assert score(lambda _: some.astype(float)).per_sample.tolist() == [1.0, 0.0]
    assert score(lambda _: np.full((2, 3), np.nan)).score == 0.0
    assert score(lambda _: np.zeros((2, 4))).score == 0.0


def test_outputs_that_cannot_be_compared():
    score = evaluation(circle, 2)
    with pytest.raises(EvaluationError, match="must have the 1 outputs .* it has 2"):
        score(lambda x: (circle(x), circle(x)))
    boxes = np.zeros((7, 4))
    with pytest.raises(EvaluationError, match=r"\[7, 4\] cannot be told apart by the 2 samples"):
        evaluation(lambda _: boxes, 2)(lambda _: boxes)
    assert evaluation(lambda _: boxes, 1)(lambda _: boxes).score == 1.0
    with pytest.raises(EvaluationError, match="at least one sample"):
        evaluation(circle)(circle)


def test_the_reference_runs_once_where_there_is_room():
    calls = []

    def reference(x):
        calls.append(len(x))
        return circle(x)

    score = evaluation(reference, 2, 2)
    score(circle), score(circle)
    assert calls == [2, 2]
    calls.clear()
    score = evaluation(reference, 2, 2, cache_bytes=16)  # of float32 [2, 2]
    score(circle), score(circle)
    assert calls == [2, 2, 2]
