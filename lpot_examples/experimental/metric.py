"""``lpot.experimental.metric``: registering metrics by name."""

from __future__ import annotations

from typing import Any

from lpot_examples.evaluation.metrics.base import Metric as BaseMetric
from lpot_examples.evaluation.metrics.registry import BUILT_IN, make_metric, metric_registry

__all__ = ["METRICS", "BaseMetric", "metric_registry"]


class METRICS:
    """The metrics of a framework, by name: ``METRICS("tensorflow")["topk"](k=5)``.

    Args:
        framework: Accepted without effect: all metrics serve every framework.
    """

    def __init__(self, framework: str = "tensorflow") -> None:
        del framework

    def __getitem__(self, name: str) -> Any:
        """Return what makes a metric of its arguments."""

        def made(*arguments: Any, **by_name: Any) -> BaseMetric:
            return make_metric(name, by_name or list(arguments))

        return made

    def register(self, name: str, metric_cls: Any) -> None:
        """Make a class known as a metric."""
        metric_registry(name)(metric_cls)

    def __contains__(self, name: object) -> bool:
        """Whether there is a built-in metric of that name."""
        return name in BUILT_IN
