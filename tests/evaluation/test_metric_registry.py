"""Every metric name of the spec is served, and arguments are checked."""

import re

import numpy as np
import pytest

from lpot_examples.errors import EvaluationError, LpotError
from lpot_examples.evaluation.metrics import registry
from lpot_examples.evaluation.metrics.arguments import ArgumentError, construct
from lpot_examples.evaluation.metrics.registry import make_metric, metric_registry
from lpot_examples.spec.names import METRICS


def test_registry_and_names_agree():
    assert set(registry.BUILT_IN) == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_says_that_there_is_no_data(name):
    metric = make_metric(name, {})
    assert metric.title
    assert metric.higher_is_better in (True, False)
    with pytest.raises(EvaluationError):
        metric.evaluate()


LOWER = {"Loss", "MAE", "MSE", "RMSE"}


def test_errors_are_better_when_lower():
    assert {name for name in METRICS if make_metric(name, {}).higher_is_better is False} == LOWER


@pytest.mark.parametrize(
    ("name", "arguments", "path", "message"),
    [
        ("topk", {"n": 5}, ("topk", "n"), "it takes k"),
        ("topk", {"k": 0}, ("topk", "k"), "integer >= 1; got 0"),
        ("topk", [1, 2], ("topk",), "takes 1 argument; got 2"),
        ("F1", {"average": "micro"}, ("F1", "average"), "it takes no arguments"),
        ("MSE", {"compare_labels": False}, ("MSE", "compare_labels"), "Did you mean"),
        ("mIOU", {"num_classes": "many"}, ("mIOU", "num_classes"), "got 'many'"),
        ("GLUE", {"task": "mrcp"}, ("GLUE", "task"), "must be one of mrpc"),
        ("COCOmAP", {"iou_thrs": "0.5:0.95"}, ("COCOmAP", "iou_thrs"), "first:step:last"),
        ("COCOmAP", {"iou_thrs": 1.5}, ("COCOmAP", "iou_thrs"), "in (0, 1]"),
        ("COCOmAP", {"map_points": 100}, ("COCOmAP", "map_points"), "101, 11, 0"),
        ("COCOmAP", {"map_key": "mAP"}, ("COCOmAP", "map_key"), "AR@100; got 'mAP'"),
        ("VOCmAP", {"iou_thrs": "0.5:0.05:0.95"}, ("VOCmAP", "iou_thrs"), "one number"),
        ("COCOmAP", {"anno_path": "no.yaml"}, ("COCOmAP", "anno_path"), "No such file"),
        (
            "COCOmAPv2",
            {"output_index_mapping": {"boxes": 0, "scores": 1}},
            ("COCOmAPv2", "output_index_mapping"),
            "must map the outputs",
        ),
    ],
)
def test_wrong_arguments_are_named(name, arguments, path, message):
    with pytest.raises(ArgumentError) as caught:
        make_metric(name, arguments)
    assert caught.value.path == path
    assert message in str(caught.value)


def test_a_single_value_is_the_first_argument():
    assert make_metric("topk", 5).title == "top-5"
    assert construct(lambda first, second=2: (first, second), [1], "x") == (1, 2)
    assert construct(dict, {"any": 1}, "x") == {"any": 1}


def test_unknown_names():
    with pytest.raises(LpotError, match="Did you mean 'topk'"):
        make_metric("topK", {})


@pytest.fixture
def emptied(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTERED", {})


def test_a_users_metric(emptied):
    @metric_registry("mean", "tensorflow, onnxrt_qlinearops")
    class Mean:
        def __init__(self, scale=1.0):
            self.scale = scale
            self.kept = []

        def update(self, preds, labels):
            self.kept.extend(preds - labels)

        def reset(self):
            self.kept = []

        def result(self):
            return self.scale * float(np.mean(self.kept))

    metric = make_metric("mean", {"scale": 2.0})
    for _ in range(2):
        metric.reset()
        assert metric.update(np.ones(3), np.zeros(3)) is None
        assert metric.result() == 2.0
    assert metric.higher_is_better is None
    assert metric.evaluate().metric == "mean"
    with pytest.raises(LpotError, match="a metric 'topk' already"):
        metric_registry("topk")(Mean)
    with pytest.raises(LpotError, match="a metric 'mean' already"):
        metric_registry("mean")(dict)


def test_a_users_metric_that_lacks_a_method(emptied):
    metric_registry("half")(type("Half", (), {"update": lambda self, preds, labels: None}))
    with pytest.raises(EvaluationError, match=re.escape("Half lacks reset, result")):
        make_metric("half", {})
