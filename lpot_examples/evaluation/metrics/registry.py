"""Metrics by LPOT's names, and the users' own."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from lpot_examples.errors import LpotError, nearest
from lpot_examples.evaluation.metrics.arguments import construct
from lpot_examples.evaluation.metrics.base import Metric
from lpot_examples.evaluation.metrics.user import UserMetric

BUILT_IN = {
    "topk": "classes:TopK",
    "Accuracy": "classes:Accuracy",
    "F1": "classes:F1",
    "ROC": "classes:Roc",
    "Loss": "numbers:Loss",
    "MAE": "numbers:MAE",
    "MSE": "numbers:MSE",
    "RMSE": "numbers:RMSE",
    "mIOU": "segmentation:MeanIoU",
    "mAP": "boxes:coco_map_v1",
    "COCOmAP": "boxes:CocoMap",
    "COCOmAPv2": "boxes:CocoMap",
    "VOCmAP": "boxes:VocMap",
    "BLEU": "text:Bleu",
    "SquadF1": "text:SquadF1",
    "GLUE": "glue:glue",
}
"""Name in a yaml → module of this package and what makes the metric."""

_REGISTERED: dict[str, Callable[..., Any]] = {}


def metric_registry(
    metric_type: str, framework: str = "tensorflow"
) -> Callable[[type[Any]], type[Any]]:
    """Return a decorator that makes a class known as a metric, as in LPOT.

    Args:
        metric_type: Its name.
        framework: The frameworks it is for, separated by commas; without effect.

    Raises:
        LpotError: If the name is taken.
    """
    del framework

    def register(made: type[Any]) -> type[Any]:
        register_metric(metric_type, made)
        return made

    return register


def register_metric(name: str, made: Callable[..., Any]) -> None:
    """Make a class known as a metric; the same class may be registered again.

    Args:
        name: Its name.
        made: A class with ``update(preds, labels)``, ``reset()`` and ``result()``.

    Raises:
        LpotError: If the name is taken by another one.
    """
    known = _REGISTERED.get(name)
    taken = name in BUILT_IN or (known is not None and known is not made)
    same = getattr(known, "__qualname__", None) == getattr(made, "__qualname__", "")
    if taken and not (known is not None and same):  # a notebook's cell that runs again
        raise LpotError(f"there is a metric '{name}' already; choose another name.")
    _REGISTERED[name] = made


def make_metric(name: str, arguments: Any) -> Metric:
    """Return a metric.

    Args:
        name: A key of `BUILT_IN`, or of a registered metric.
        arguments: As a yaml gives them; see `arguments.construct`.

    Raises:
        ArgumentError: If it does not take them.
        LpotError: If there is no such metric.
    """
    if name in _REGISTERED:
        return UserMetric(construct(_REGISTERED[name], arguments, name), name)
    if name not in BUILT_IN:
        hint = nearest(name, (*BUILT_IN, *_REGISTERED))
        raise LpotError(f"there is no metric '{name}'.{hint} Known: {', '.join(BUILT_IN)}.")
    module, attribute = BUILT_IN[name].split(":")
    found = import_module(f"lpot_examples.evaluation.metrics.{module}")
    made: Metric = construct(getattr(found, attribute), arguments, name)
    return made
