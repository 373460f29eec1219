"""Evaluations from the yaml's ``evaluation.accuracy``, without code of the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.listing import check_limit
from lpot_examples.errors import EvaluationError, LpotError
from lpot_examples.evaluation.batches import count, pairs
from lpot_examples.evaluation.metrics.arguments import ArgumentError
from lpot_examples.evaluation.metrics.base import Metric
from lpot_examples.evaluation.metrics.registry import make_metric
from lpot_examples.evaluation.racing import Monitor, raced_pass
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.spec.evaluation import METRIC_OPTIONS, Accuracy

Progress = Callable[[int, int], None]
Postprocess = Callable[[tuple[Any, Any]], tuple[Any, Any]]
"""Takes and returns ``(predictions, labels)`` of a batch, as LPOT's transforms do."""

_WHERE = "evaluation.accuracy.postprocess.transform"


class SpecEvaluation:
    """An ``eval_func`` of one metric or several, all fed in one pass over the data.

    Args:
        loader: Yields ``(inputs, labels)``; iterated once per evaluation. A method
            ``ordered(indices)``, if it has one, yields the samples in that order; without it no
            evaluation is stopped early.
        metrics: Name in the yaml → metric; the first is the score.
        postprocess: Applied to predictions and labels, in order.
        iteration: The most batches; all when None.
        limit: The most samples; all when None.
        reference: Opens the fp32 model, for metrics that compare with it.

    Attributes:
        samples: How many samples are evaluated; 0 if the loader does not tell.
        identity: Describes what the class itself does not: the source of users' metrics.
    """

    def __init__(
        self,
        loader: Iterable[Any],
        metrics: Mapping[str, Metric],
        *,
        postprocess: Sequence[Postprocess] = (),
        iteration: int | None = None,
        limit: int | None = None,
        reference: Callable[[], Any] | None = None,
    ) -> None:
        check_limit(limit)
        self.samples = known_samples(loader, batches=iteration, limit=limit)
        parts = (*(getattr(one, "wrapped", one) for one in metrics.values()), *postprocess)
        self.identity = " ".join(_source(type(part)) for part in parts)
        self._loader = loader
        self._metrics = dict(metrics)
        self._postprocess = tuple(postprocess)
        self._iteration = iteration
        self._limit = limit
        self._reference = reference
        self._outputs: list[Any] | None = None

    def __call__(
        self,
        model: Callable[[Any], Any],
        *,
        progress: Progress | None = None,
        monitor: Monitor | None = None,
    ) -> EvaluationResult:
        """Score a model on all samples, or until the monitor says to stop.

        Args:
            model: Maps inputs to an array, or a tuple of arrays for several outputs.
            progress: Called after each batch with the samples done and their total.
            monitor: Sets the order of the samples, is told each batch's scores and may end the
                evaluation; only of one metric that is a mean.

        Raises:
            EvaluationError: If outputs and labels do not fit the metric, or there are no samples.
        """
        outputs = self._reference_outputs() if self._wants_reference else None
        for metric in self._metrics.values():
            metric.reset()
            metric.expect(getattr(model, "output_names", ()))
        order, batches = self._pass(monitor)
        done = 0
        for number, (inputs, labels) in enumerate(batches):
            fp32 = None if outputs is None else outputs[number]
            scores = self._feed(model(inputs), labels, fp32)
            size = count(inputs)
            rows, done = order[done : done + size], done + size
            if progress is not None:
                progress(done, self.samples)
            if monitor is not None and len(rows) and scores is not None and monitor(scores, rows):
                break
        if not done:
            raise EvaluationError("The evaluation needs at least one sample; the data hold none.")
        return self._result(order[:done], done)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics by name."""
        return self._metrics

    @property
    def _wants_reference(self) -> bool:
        return any(metric.needs_reference for metric in self._metrics.values())

    def _feed(self, preds: Any, labels: Any, fp32: Any) -> NDArray[np.float64] | None:
        """Give a batch to every metric; the scores of the last, if they are a mean's parts."""
        preds, right = self._transformed(preds, labels)
        if fp32 is not None:
            fp32, _ = self._transformed(fp32, labels)
        scores = None
        for metric in self._metrics.values():
            scores = metric.update(preds, fp32 if metric.needs_reference else right)
        return scores

    def _transformed(self, preds: Any, labels: Any) -> tuple[Any, Any]:
        for transform in self._postprocess:
            preds, labels = transform((preds, labels))
        return preds, labels

    def _pass(self, monitor: Monitor | None) -> tuple[NDArray[np.int64], Iterator[Any]]:
        """Return the order of one pass, empty for that of the dataset, and its batches."""
        one = next(iter(self._metrics.values()))
        told = len(self._metrics) == 1 and one.by_batch and not one.needs_reference
        raced = raced_pass(self._loader, self.samples, monitor if self.samples and told else None)
        if raced is not None:
            return raced
        batches = pairs(self._loader, batches=self._iteration, samples=self._limit)
        return np.empty(0, dtype=np.int64), batches

    def _result(self, order: NDArray[np.int64], done: int) -> EvaluationResult:
        results = {name: metric.evaluate() for name, metric in self._metrics.items()}
        first = next(iter(results.values()))
        result = replace(first, samples=first.samples or done)
        if len(results) == 1:
            return _in_order(result, order)
        details = {
            f"{name} {detail}": score
            for name, each in results.items()
            for detail, score in each.details.items()
        }
        return EvaluationResult(
            score=first.score,
            metric=first.metric,
            samples=done,
            details=details,
            scores={name: each.score for name, each in results.items()},
        )

    def _reference_outputs(self) -> list[Any]:
        """Return the fp32 model's outputs on every batch; run once, and kept."""
        if self._outputs is None:
            if self._reference is None:
                raise EvaluationError(
                    "compare_label: false compares with the fp32 model, which is not known here. "
                    "Give the model by its file, or labels and compare_label: true."
                )
            model = self._reference()
            try:
                batches = pairs(self._loader, batches=self._iteration, samples=self._limit)
                self._outputs = [model(inputs) for inputs, _ in batches]
            finally:
                model.close()
        return self._outputs


def build_eval_func(
    accuracy: Accuracy,
    loader: Iterable[Any],
    *,
    limit: int | None = None,
    reference: Callable[[], Any] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    postprocess: Sequence[Postprocess] | None = None,
) -> SpecEvaluation:
    """Build the evaluation that a yaml describes.

    Args:
        accuracy: The yaml's ``evaluation.accuracy``.
        loader: Its batches, ``(inputs, labels)``.
        limit: Evaluate the first samples only; all when None.
        reference: Opens the fp32 model; needed where a metric has ``compare_label: false``.
        metrics: Set by code in place of the yaml's, by name.
        postprocess: The same of its transforms.

    Raises:
        ArgumentError: With the keys below ``evaluation.accuracy``, if a metric does not take its
            arguments.
        SpecError: If that is so of a transform, or it is not served.
        LpotError: If no metric is named.
    """
    if postprocess is None:
        from lpot_examples.data.pipeline.build import build_postprocess

        postprocess = build_postprocess(accuracy.postprocess.transform, where=_WHERE)
    return SpecEvaluation(
        loader,
        make_metrics(accuracy) if metrics is None else metrics,
        postprocess=postprocess,
        iteration=accuracy.iteration if accuracy.iteration > 0 else None,
        limit=limit,
        reference=reference,
    )


def make_metrics(accuracy: Accuracy, *, base: Path | None = None) -> dict[str, Metric]:
    """Return the metrics of a yaml by name; see `build_eval_func` for the errors.

    Args:
        accuracy: The yaml's ``evaluation.accuracy``.
        base: The folder in which label maps are looked for before the current one.
    """
    several = accuracy.multi_metrics is not None
    key = "multi_metrics" if several else "metric"
    given = accuracy.multi_metrics if several else accuracy.metric
    if not given:
        raise LpotError(
            "evaluation.accuracy needs a metric, such as 'metric: {topk: 1}', or code that "
            "evaluates."
        )
    try:
        return {
            name: make_metric(name, _placed(arguments, base))
            for name, arguments in given.items()
            if name not in METRIC_OPTIONS
        }
    except ArgumentError as error:
        raise error.below(key) from None


def _placed(arguments: Any, base: Path | None) -> Any:
    path = arguments.get("anno_path") if isinstance(arguments, Mapping) else None
    if base is None or not isinstance(path, str) or not (base / path).is_file():
        return arguments
    return {**arguments, "anno_path": str(base / path)}


def known_samples(loader: Any, *, batches: int | None, limit: int | None) -> int:
    """Return how many samples a pass gives; 0 if the loader does not tell.

    Args:
        loader: With an attribute ``sample_count`` or ``samples``, a number or something of that
            length.
        batches: The most batches.
        limit: The most samples.
    """
    known = (getattr(loader, name, None) for name in ("sample_count", "samples"))
    total = next(filter(None, map(_length, known)), 0)
    size = getattr(loader, "batch_size", None)
    if batches is not None:
        if not isinstance(size, int):
            return 0
        total = min(total, batches * size) if total else 0
    return min(total, limit) if limit is not None and total else total


def _in_order(result: EvaluationResult, order: NDArray[np.int64]) -> EvaluationResult:
    """Put the parts of a result into the order of the dataset."""
    if not len(order):
        return result
    rank = np.argsort(order)
    own, resample = result.per_sample, result.resample
    return replace(
        result,
        per_sample=None if own is None else own[rank],
        resample=None if resample is None else lambda indices: resample(rank[indices]),
    )


def _length(value: Any) -> int:
    if isinstance(value, int):
        return value
    with suppress(TypeError):
        return len(value)
    return 0


def _source(made: type) -> str:
    """Return the source of a user's class; the name of one of this package."""
    if not made.__module__.startswith("lpot_examples."):
        with suppress(OSError, TypeError):
            return inspect.getsource(made)
    return made.__qualname__
