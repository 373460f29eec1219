"""The section ``evaluation`` and the dataloaders: structure and names, not arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, PlainValidator, model_validator

from lpot_examples.spec import names
from lpot_examples.spec.fields import (
    Flag,
    Iterations,
    NotNegative,
    Positive,
    Section,
    Text,
    arguments,
    components,
    items,
    one_of,
    refuse,
    show,
    to_flag,
    to_float,
    to_loss,
    to_relative,
    whole,
)
from lpot_examples.spec.frozen import FrozenMap

METRIC_OPTIONS = ("weight", "higher_is_better", "relative", "absolute")
"""Keys of ``multi_metrics`` that are lists with one value for each metric."""


def _filters(value: Any) -> FrozenMap:
    found: FrozenMap = components(names.FILTERS, "filter")(value)
    balance = found.get("LabelBalance", {"size": 1})
    size = balance.get("size") if isinstance(balance, Mapping) else None
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        refuse(f"needs a size >= 1; got {show(balance)}.", at=("LabelBalance",))
    return found


class Dataloader(Section):
    """Where samples come from.

    Attributes:
        batch_size: Samples per batch, >= 1.
        last_batch: ``rollover`` keeps a short last batch, ``discard`` drops it.
        dataset: One dataset name → its arguments.
        filter: Filter name → its arguments.
        transform: Transform name → its arguments, applied in the order written.
        shuffle: Whether the samples are visited in random order.
        distributed: Accepted without effect.
    """

    batch_size: Positive = 1
    last_batch: Annotated[str, BeforeValidator(one_of(names.LAST_BATCH))] = "rollover"
    dataset: Annotated[
        Mapping[str, Any], PlainValidator(components(names.DATASETS, "dataset", single=True))
    ]
    filter: Annotated[Mapping[str, Any], PlainValidator(_filters)] = FrozenMap()
    transform: Annotated[
        Mapping[str, Any], PlainValidator(components(names.TRANSFORMS, "transform"))
    ] = FrozenMap()
    shuffle: Flag = False
    distributed: Flag = False


class Configs(Section):
    """How many processes run, on how many cores; None leaves it to the machine."""

    cores_per_instance: Positive | None = None
    num_of_instance: Positive = 1
    inter_num_of_threads: Positive | None = None
    intra_num_of_threads: Positive | None = None
    kmp_blocktime: NotNegative | None = None
    kmp_affinity: Text = "granularity=fine,verbose,compact,1,0"


class Postprocess(Section):
    """What is done to the network's outputs before the metric, in the order written."""

    transform: Annotated[
        Mapping[str, Any],
        PlainValidator(components(names.POSTPROCESS_TRANSFORMS, "postprocess transform")),
    ] = FrozenMap()


def _check_topk(metrics: Mapping[str, Any]) -> None:
    topk = metrics.get("topk", 1)
    k = topk.get("k", 1) if isinstance(topk, Mapping) else topk
    if isinstance(k, bool) or k not in (1, 5):
        refuse(f"must be 1 or 5; got {show(topk)}.", at=("topk",))


def _metric(value: Any) -> FrozenMap:
    if isinstance(value, Mapping) and len(value) > 1:
        known = [str(name) for name in value if name in names.METRICS]
        if len(known) == len(value):
            refuse(f"must name one metric; got {', '.join(known)}. Use multi_metrics for several.")
    found: FrozenMap = components(names.METRICS, "metric", single=True)(value)
    _check_topk(found)
    return found


def _weight(value: object) -> float:
    weight = to_float(value)
    return weight if weight >= 0 else refuse(f"must not be negative; got {show(value)}.")


def _multi_metrics(value: Any) -> FrozenMap:
    if not isinstance(value, Mapping):
        refuse(f"must map each metric's name to its arguments; got {show(value)}.")
    chosen = {k: v for k, v in value.items() if k not in METRIC_OPTIONS}
    found = components(names.METRICS, "metric")(chosen)
    if not found:
        refuse("must name at least one metric.")
    _check_topk(found)
    options: dict[str, Any] = {}
    if value.get("relative") is not None and value.get("absolute") is not None:
        refuse("cannot be combined with relative; keep one.", at=("absolute",))
    converters = (_weight, to_flag, to_relative, to_loss)
    for key, convert in zip(METRIC_OPTIONS, converters, strict=True):
        if value.get(key) is None:
            continue
        options[key] = [convert(item) for item in items(value[key])]
        if len(options[key]) != len(found):
            refuse(
                f"must have one value for each of the {len(found)} metrics; "
                f"got {len(options[key])}.",
                at=(key,),
            )
    return arguments({**found, **options})


class Accuracy(Section):
    """How accuracy is measured when no ``eval_func`` is given.

    Attributes:
        metric: One metric name → its arguments, None when code provides the evaluation.
        multi_metrics: Metric names → arguments, with lists of one value for each metric:
            ``weight``, ``higher_is_better``, and ``relative`` or ``absolute`` for own bars.
        iteration: Batches to evaluate, -1 for all.
    """

    metric: Annotated[Mapping[str, Any] | None, PlainValidator(_metric)] = None
    multi_metrics: Annotated[Mapping[str, Any] | None, PlainValidator(_multi_metrics)] = None
    configs: Configs = Configs()
    iteration: Iterations = -1
    dataloader: Dataloader | None = None
    postprocess: Postprocess = Postprocess()

    @model_validator(mode="after")
    def _one_metric(self) -> Self:
        if self.metric is not None and self.multi_metrics is not None:
            refuse("cannot be combined with metric; keep one.", at=("multi_metrics",))
        return self


class Performance(Section):
    """How latency is measured.

    Attributes:
        warmup: Batches run before timing, >= 0.
        iteration: Batches timed, -1 for all.
    """

    warmup: Annotated[int, BeforeValidator(whole(0))] = 5
    iteration: Iterations = -1
    configs: Configs = Configs()
    dataloader: Dataloader | None = None
    postprocess: Postprocess = Postprocess()


class Evaluation(Section):
    """How the network is judged; None where the spec does not say."""

    accuracy: Accuracy | None = None
    performance: Performance | None = None
