"""Evaluations of ``evaluation.accuracy``: passes over the data, order, several metrics."""

import pickle
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest

from lpot_examples.data.arrays import ArrayBatches
from lpot_examples.errors import DataError, EvaluationError, LpotError, SpecError
from lpot_examples.evaluation.bars import Bars
from lpot_examples.evaluation.batches import count, first, pairs
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.evaluator import Evaluator
from lpot_examples.evaluation.evidence import gather
from lpot_examples.evaluation.from_spec import build_eval_func
from lpot_examples.evaluation.metrics.user import UserMetric
from lpot_examples.evaluation.repeat import evaluate_again
from lpot_examples.spec import load_spec

RNG = np.random.default_rng(8)
SCORES = RNG.normal(size=(50, 4)).astype(np.float32)
LABELS = np.where(RNG.random(50) < 0.7, SCORES.argmax(1), RNG.integers(0, 4, 50))


class Loader(ArrayBatches):
    """Arrays that tell how many samples they hold, and count passes."""

    passes = 0

    @property
    def sample_count(self):
        return len(self.inputs)

    def __iter__(self):
        type(self).passes += 1
        return super().__iter__()


def loader(batch_size=8):
    return Loader(SCORES, LABELS, batch_size=batch_size)


def accuracy(**section):
    content = {"model": {"name": "m", "framework": "tensorflow"}}
    return load_spec({**content, "evaluation": {"accuracy": section}}).evaluation.accuracy


def same(batch):
    """A model that gives its input."""
    return batch


EXPECTED = (SCORES.argmax(1) == LABELS).astype(float)


def test_one_metric():
    evaluation = build_eval_func(accuracy(metric={"topk": 1}), loader())
    done = []
    result = evaluation(same, progress=lambda *at: done.append(at))
    assert result.score == EXPECTED.mean()
    assert (result.per_sample == EXPECTED).all()
    assert evaluation.samples == 50
    assert (done[0], done[-1]) == ((8, 50), (50, 50))
    assert evaluation(same).score == result.score  # nothing is left of the first pass


@pytest.mark.parametrize(
    ("section", "limit", "samples"),
    [
        ({"iteration": 3}, None, 24),
        ({}, 13, 13),
        ({"iteration": 2}, 13, 13),
        ({"iteration": 1}, 13, 8),
    ],
)
def test_a_part_of_the_data(section, limit, samples):
    given = accuracy(metric={"topk": 1}, **section)
    evaluation = build_eval_func(given, loader(), limit=limit)
    result = evaluation(same)
    assert (evaluation.samples, result.samples) == (samples, samples)
    assert (result.per_sample == EXPECTED[:samples]).all()
    with pytest.raises(DataError, match="at least 1; it is 0"):
        build_eval_func(given, loader(), limit=0)


def test_several_metrics_in_one_pass():
    given = accuracy(multi_metrics={"topk": 1, "Loss": {}, "higher_is_better": [True, False]})
    evaluation = build_eval_func(given, loader())
    before = Loader.passes
    result = evaluation(same)
    assert Loader.passes == before + 1
    assert result.scores == {
        "topk": EXPECTED.mean(),
        "Loss": pytest.approx(SCORES.mean(), abs=1e-6),
    }
    assert (result.score, result.metric, result.samples) == (EXPECTED.mean(), "top-1", 50)
    bars = Bars(criterion=Criterion(relative=0.01), names=("topk", "Loss"))
    assert bars.judge(result, result).met
    assert gather(result) is None


class Watch:
    """Sets an order; ends after some samples."""

    def __init__(self, order, end=None):
        self._order, self._end, self.seen = order, end, []

    def order(self, samples):
        assert samples == len(self._order)
        return self._order

    def __call__(self, scores, rows):
        self.seen += list(zip(rows, scores, strict=True))
        return self._end is not None and len(self.seen) >= self._end


def test_samples_are_visited_in_the_order_of_the_monitor():
    order = RNG.permutation(50)
    watch = Watch(order)
    result = build_eval_func(accuracy(metric={"topk": 1}), loader())(same, monitor=watch)
    assert (result.per_sample == EXPECTED).all()  # in the order of the dataset all the same
    assert [row for row, _ in watch.seen] == list(order)
    assert all(score == EXPECTED[row] for row, score in watch.seen)
    stopped = build_eval_func(accuracy(metric={"topk": 1}), loader())
    assert stopped(same, monitor=Watch(order, end=10)).samples == 16


def test_resampling_follows_the_order_of_the_dataset_too():
    binary = Loader(SCORES[:, :2], (LABELS > 1).astype(np.int64), batch_size=8)
    plain = build_eval_func(accuracy(metric={"F1": {}}), binary)(same)
    watched = build_eval_func(accuracy(metric={"F1": {}}), binary)
    result = watched(same, monitor=Watch(RNG.permutation(50)))
    chosen = np.arange(9)
    assert result.resample(chosen) == plain.resample(chosen)


def test_without_an_order_there_is_no_stop():
    plain = [(SCORES[:30], LABELS[:30]), (SCORES[30:], LABELS[30:])]
    evaluation = build_eval_func(accuracy(metric={"topk": 1}), plain)
    assert evaluation.samples == 0
    assert evaluation(same, monitor=Watch(np.arange(50), end=1)).samples == 50


def test_it_is_evaluated_again_and_compared():
    evaluator = Evaluator(build_eval_func(accuracy(metric={"topk": 1}), loader()))
    evidence = gather(evaluator(same))
    assert evidence.binary
    assert evaluate_again(evaluator, same, evidence).spread == 0
    noisy = lambda batch: batch + RNG.normal(size=batch.shape)  # noqa: E731
    assert evaluate_again(evaluator, noisy, evidence).spread > 0


@pytest.mark.parametrize("arguments", [{"label_shift": 1}, 1])
def test_label_shift(arguments):
    shifted = Loader(SCORES, LABELS + 1, batch_size=8)
    section = {"metric": {"topk": 1}, "postprocess": {"transform": {"LabelShift": arguments}}}
    assert build_eval_func(accuracy(**section), shifted)(same).score == EXPECTED.mean()


def test_postprocess_that_cannot_be_had():
    section = {"metric": {"SquadF1": {}}, "postprocess": {"transform": {"SquadV1": {}}}}
    with pytest.raises(SpecError, match=r"postprocess\.transform\.SquadV1 is not served"):
        build_eval_func(accuracy(**section), loader())


def test_fp32_in_place_of_labels():
    closed = []

    class Fp32:
        def __call__(self, batch):
            return batch + 1

        def close(self):
            closed.append(True)

    given = accuracy(metric={"MSE": {"compare_label": False}})
    evaluation = build_eval_func(given, loader(), reference=Fp32)
    assert evaluation(Fp32()).score == 0
    assert evaluation(same).score == pytest.approx(1)
    assert closed == [True]
    with pytest.raises(EvaluationError, match="fp32 model, which is not known"):
        build_eval_func(given, loader())(same)


def test_the_names_of_outputs_are_passed_on():
    told = []
    metric = UserMetric(SimpleNamespace(update=max, reset=list, result=float), "x")
    metric.expect = told.append
    evaluation = build_eval_func(accuracy(), [(np.ones(1), 2)], metrics={"x": metric})

    class Named:
        output_names = ("a", "b")

        def __call__(self, batch):
            return 1

    evaluation(Named())
    assert told == [("a", "b")]


def test_no_metric_and_no_samples():
    with pytest.raises(LpotError, match="needs a metric"):
        build_eval_func(accuracy(), loader())
    with pytest.raises(EvaluationError, match="at least one sample"):
        build_eval_func(accuracy(metric={"topk": 1}), [])(same)
    with pytest.raises(DataError, match=r"batch 0 of the evaluation must be \(inputs, labels\)"):
        build_eval_func(accuracy(metric={"topk": 1}), [SCORES])(same)


def test_it_can_be_sent_to_another_process():
    evaluation = build_eval_func(accuracy(metric={"topk": 5}), loader())
    copy = pickle.loads(cloudpickle.dumps(evaluation))
    assert copy(same).score == evaluation(same).score


def test_the_source_of_a_users_metric_is_part_of_the_identity():
    class One:
        def update(self, preds, labels): ...
        def reset(self): ...
        def result(self):
            return 1.0

    class Two(One):
        def result(self):
            return 2.0

    built = [
        Evaluator(build_eval_func(accuracy(), loader(), metrics={"m": UserMetric(made(), "m")}))
        for made in (One, One, Two)
    ]
    prints = [one.fingerprint() for one in built]
    assert prints[0] == prints[1] != prints[2]


def test_batches_of_any_shape():
    pair = {"a": SCORES, "b": 3}
    assert count(pair) == count([SCORES, LABELS]) == count(SCORES) == 50
    assert count(np.float32(1)) == 1
    cut = first(pair, 7, 50)
    assert (len(cut["a"]), cut["b"]) == (7, 3)
    boxes = ([SCORES] * 3, [[], [], []], [b"1", b"2", b"3"])
    assert [len(part) for part in first(boxes, 2, 3)] == [2, 2, 2]
    assert first(list("abc"), 2, 3) == ["a", "b"]
    assert len([*pairs([(SCORES, LABELS)] * 3, batches=2, samples=None)]) == 2
