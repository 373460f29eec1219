"""top-k, accuracy, F1, ROC and GLUE against scikit-learn, in one batch and in several."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.registry import make_metric

RNG = np.random.default_rng(5)
SCORES = RNG.normal(size=(60, 7)).astype(np.float32)
CLASSES = RNG.integers(0, 7, 60)
YES = RNG.integers(0, 2, 60)
LIKELY = np.clip(YES * 0.3 + RNG.random(60) * 0.7, 0, 1)


def scored(name, preds, labels, arguments=None, *, batch=None):
    """The result of a metric; fed in batches."""
    metric = make_metric(name, arguments or {})
    metric.update(preds, labels)
    metric.reset()  # what came before does not count
    size = batch or len(labels)
    for start in range(0, len(labels), size):
        rows = slice(start, start + size)
        metric.update(preds[rows], labels[rows])
    return metric.evaluate()


def consistent(result):
    """Per-sample scores, or the resampling of every sample once, give the score."""
    if result.per_sample is not None:
        assert len(result.per_sample) == result.samples
        assert result.per_sample.mean() == pytest.approx(result.score)
    else:
        assert result.resample(np.arange(result.samples)) == pytest.approx(result.score)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("shape", [(60,), (60, 1), "one-hot"])
def test_topk(k, shape):
    labels = np.eye(7)[CLASSES] if shape == "one-hot" else CLASSES.reshape(shape)
    result = scored("topk", SCORES[:, None], labels, k, batch=7)
    expected = reference.top_k_accuracy_score(CLASSES, SCORES, k=k, labels=range(7))
    assert result.score == pytest.approx(expected)
    assert result.metric == f"top-{k}"
    consistent(result)


def test_topk_of_labels_that_are_no_classes():
    with pytest.raises(EvaluationError, match="class indices"):
        scored("topk", SCORES, CLASSES + 0.5)
    with pytest.raises(EvaluationError, match=r"Labels must be in \[0, 7\)"):
        scored("topk", SCORES, CLASSES + 1)
    with pytest.raises(EvaluationError, match=r"float32 \[60, 7\]"):
        scored("topk", SCORES, CLASSES[:50])


def test_accuracy_of_scores_classes_and_probabilities():
    expected = reference.accuracy_score(CLASSES, SCORES.argmax(1))
    for preds in (SCORES, SCORES.argmax(1), SCORES.argmax(1)[:, None]):
        result = scored("Accuracy", preds, CLASSES, batch=11)
        assert result.score == pytest.approx(expected)
        consistent(result)
    result = scored("Accuracy", LIKELY[:, None], YES)
    assert result.score == pytest.approx(reference.accuracy_score(YES, LIKELY >= 0.5))


def test_accuracy_of_several_labels_counts_each():
    labels = RNG.integers(0, 2, (60, 4))
    result = scored("Accuracy", np.where(RNG.random((60, 4)) < 0.2, 1 - labels, labels), labels)
    assert 0.6 < result.score < 0.95
    consistent(result)
    pixels = RNG.normal(size=(6, 3, 5, 5))
    truth = pixels.argmax(axis=1)
    truth[:, 0] = 3
    assert scored("Accuracy", pixels, truth).score == pytest.approx(0.8)


def test_accuracy_of_shapes_that_do_not_fit():
    with pytest.raises(EvaluationError, match=r"labels int64 \[60\]"):
        scored("Accuracy", SCORES[:, :, None, None], CLASSES)


@pytest.mark.parametrize("form", ["probabilities", "column", "classes", "two", "logits"])
def test_f1(form):
    preds = {
        "probabilities": LIKELY,
        "column": LIKELY[:, None],
        "classes": (LIKELY >= 0.5).astype(np.int32),
        "two": np.stack([1 - LIKELY, LIKELY], 1),
        "logits": np.stack([np.zeros(60), np.log(LIKELY / (1 - LIKELY))], 1),
    }[form]
    result = scored("F1", preds, YES, batch=9)
    assert result.score == pytest.approx(reference.f1_score(YES, LIKELY >= 0.5))
    expected = reference.recall_score(YES, LIKELY >= 0.5)
    assert result.details["recall"] == pytest.approx(expected)
    consistent(result)


def test_f1_is_not_defined_by_batches_and_has_an_edge():
    halves = [scored("F1", LIKELY[at], YES[at]).score for at in (slice(0, 10), slice(10, 60))]
    whole = scored("F1", LIKELY, YES, batch=10).score
    assert whole != pytest.approx(np.mean(halves), abs=1e-6)
    assert scored("F1", np.zeros(4), np.zeros(4, int)).score == 0
    with pytest.raises(EvaluationError, match="of 0 and 1"):
        scored("F1", LIKELY, CLASSES)


def test_roc():
    coarse = np.round(LIKELY, 1)  # equal scores count half
    result = scored("ROC", coarse, YES, "dlrm", batch=13)
    assert result.score == pytest.approx(reference.roc_auc_score(YES, coarse))
    assert result.details["accuracy"] == pytest.approx(((coarse >= 0.5) == YES).mean())
    consistent(result)
    drawn = RNG.integers(0, 60, 60)
    expected = reference.roc_auc_score(YES[drawn], coarse[drawn])
    assert result.resample(drawn) == pytest.approx(expected)
    with pytest.raises(EvaluationError, match="not defined"):
        scored("ROC", LIKELY, np.ones(60, int))


def test_glue():
    two = np.stack([1 - LIKELY, LIKELY], 1)
    mrpc = scored("GLUE", two, YES, {"task": "mrpc"}, batch=8)
    assert mrpc.score == pytest.approx(reference.accuracy_score(YES, LIKELY > 0.5))
    consistent(mrpc)
    cola = scored("GLUE", two, YES, {"task": "cola"}, batch=8)
    assert cola.score == pytest.approx(reference.matthews_corrcoef(YES, LIKELY > 0.5))
    consistent(cola)
    values = YES * 5 + RNG.normal(size=60)
    stsb = scored("GLUE", values[:, None], YES * 5.0, {"task": "sts-b"}, batch=8)
    pair = (stats.pearsonr(values, YES).statistic, stats.spearmanr(values, YES).statistic)
    assert stsb.score == pytest.approx(sum(pair) / 2)
    consistent(stsb)
