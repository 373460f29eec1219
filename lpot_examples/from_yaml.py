"""What a yaml says of data and metrics, made into a dataloader and an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples.errors import SpecError
from lpot_examples.network import open_network
from lpot_examples.spec import Spec, load_spec
from lpot_examples.spec.problems import dotted

if TYPE_CHECKING:
    from lpot_examples.data.pipeline.loader import PipelineLoader
    from lpot_examples.evaluation.from_spec import Postprocess, SpecEvaluation
    from lpot_examples.evaluation.metrics.base import Metric
    from lpot_examples.spec.evaluation import Accuracy, Dataloader

_CALIBRATION = ("quantization", "calibration")
_ACCURACY = ("evaluation", "accuracy")
_SENSE = ("tuning", "accuracy_criterion", "higher_is_better")


def calibration_loader(
    spec: Spec, *, dataset_location: Path | None = None, model: Any = None
) -> PipelineLoader:
    """Return the batches of ``quantization.calibration.dataloader``.

    Args:
        spec: The spec.
        dataset_location: In place of the dataset's root.
        model: The network, whose input's dtype images are given in; as they are if None.

    Raises:
        SpecError: If the section is missing or cannot be used; with its line.
        DataError: If files are missing or malformed.
    """
    section = spec.quantization.calibration.dataloader
    if section is None:
        raise spec.error(
            f"{dotted(_CALIBRATION)} needs a dataloader, such as 'dataloader: {{dataset: "
            "{ImageFolder: {root: images/}}}', or code that gives one (q_dataloader).",
            *_CALIBRATION,
        )
    return _loader(spec, section, _CALIBRATION, location=dataset_location, model=model)


def evaluation(
    spec: Spec,
    *,
    loader: Iterable[Any] | None = None,
    dataset_location: Path | None = None,
    batch_size: int | None = None,
    limit: int | None = None,
    model: Any = None,
    reference: Callable[[], Any] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    postprocess: Sequence[Postprocess] | None = None,
) -> SpecEvaluation:
    """Return the evaluation of ``evaluation.accuracy``.

    Args:
        spec: The spec.
        loader: Its batches, in place of the yaml's.
        dataset_location: In place of the dataset's root.
        batch_size: In place of the dataloader's.
        limit: Evaluate the first samples only; all when None.
        model: The network, whose input's dtype images are given in; as they are if None.
        reference: Opens the fp32 model, for metrics that compare with it.
        metrics: In place of the yaml's, by name.
        postprocess: In place of the yaml's.

    Raises:
        SpecError: If something is missing or cannot be used; with its line.
        DataError: If files are missing or malformed.
    """
    from lpot_examples.evaluation.from_spec import build_eval_func

    accuracy = _accuracy(spec)
    if metrics is None:
        metrics = metrics_of(spec)
    _check_reference(spec, metrics)
    if loader is None:
        section = accuracy.dataloader
        if section is None:
            raise spec.error(
                f"{dotted(_ACCURACY)} needs a dataloader, such as 'dataloader: {{dataset: "
                "{ImageRecord: {root: records/}}}', or code that evaluates.",
                *_ACCURACY,
            )
        if batch_size is not None:
            section = section.model_copy(update={"batch_size": batch_size})
        loader = _loader(
            spec, section, _ACCURACY, location=dataset_location, model=model, limit=limit
        )
    with _located(spec):
        return build_eval_func(
            accuracy,
            loader,
            limit=limit,
            reference=reference,
            metrics=metrics,
            postprocess=postprocess,
        )


def metrics_of(spec: Spec) -> dict[str, Metric]:
    """Return the metrics of ``evaluation.accuracy`` by name.

    Raises:
        SpecError: If there are none, or one does not take its arguments; with its line.
    """
    from lpot_examples.evaluation.from_spec import make_metrics
    from lpot_examples.evaluation.metrics.arguments import ArgumentError

    accuracy = _accuracy(spec)
    if not accuracy.metric and not accuracy.multi_metrics:
        raise spec.error(
            f"{dotted(_ACCURACY)} needs a metric, such as 'metric: {{topk: 1}}', or code that "
            "evaluates.",
            *_ACCURACY,
        )
    try:
        return make_metrics(accuracy, base=base_of(spec))
    except ArgumentError as error:
        path = (*_ACCURACY, *error.path)
        raise spec.error(f"{dotted(path)} {error.problem}", *path) from None


def with_sense(spec: Spec, metrics: Mapping[str, Metric]) -> Spec:
    """Return the spec with ``higher_is_better`` as its metrics have it, where it does not say.

    Raises:
        SpecError: If it says otherwise; with its line.
    """
    senses = {name: metric.higher_is_better for name, metric in metrics.items()}
    if len(metrics) > 1:
        return _with_senses(spec, senses)
    name, sense = next(iter(senses.items()))
    criterion = spec.tuning.accuracy_criterion
    if sense is None or sense == criterion.higher_is_better:
        return spec
    if "higher_is_better" in criterion.model_fields_set:
        raise _contradiction(spec, name, sense, _SENSE)
    return load_spec(spec, overrides={".".join(_SENSE): sense})


def _with_senses(spec: Spec, senses: Mapping[str, bool | None]) -> Spec:
    given = _accuracy(spec).multi_metrics or {}
    path = (*_ACCURACY, "multi_metrics", "higher_is_better")
    default = spec.tuning.accuracy_criterion.higher_is_better
    listed = given.get("higher_is_better")
    if listed is None:
        found = [default if sense is None else sense for sense in senses.values()]
        return (
            spec if set(found) == {default} else load_spec(spec, overrides={".".join(path): found})
        )
    for (name, sense), said in zip(senses.items(), listed, strict=True):
        if sense is not None and sense != said:
            raise _contradiction(spec, name, sense, path)
    return spec


def _contradiction(spec: Spec, name: str, sense: bool, path: Sequence[str]) -> SpecError:
    return spec.error(
        f"{dotted(tuple(path))} must be {str(sense).lower()} for {name}, which is better when "
        f"{'higher' if sense else 'lower'}; correct or remove it.",
        *path,
    )


def base_of(spec: Spec) -> Path:
    """Return the folder that a spec's paths are relative to: the yaml's, or the current one."""
    return spec.source.resolve().parent if spec.source is not None else Path.cwd()


def input_dtype(model: Any, spec: Spec) -> Any:
    """Return the dtype of a network's input; None if it has several.

    Raises:
        ModelError: If the network cannot be opened.
    """
    network = open_network(model, spec)
    if len(network.input_names) != 1:
        return None
    _, dtype = network.input_spec(network.input_names[0])
    return dtype


def _accuracy(spec: Spec) -> Accuracy:
    from lpot_examples.spec.evaluation import Accuracy

    return spec.evaluation.accuracy or Accuracy()


def _loader(
    spec: Spec,
    section: Dataloader,
    path: tuple[str, ...],
    *,
    location: Path | None,
    model: Any,
    limit: int | None = None,
) -> PipelineLoader:
    from lpot_examples.data.pipeline.build import build_dataloader

    with _located(spec):
        return build_dataloader(
            section,
            dataset_location=location,
            base=base_of(spec),
            limit=limit,
            split="train" if path == _CALIBRATION else "validation",
            seed=spec.tuning.random_seed,
            dtype=None if model is None else input_dtype(model, spec),
            where=dotted((*path, "dataloader")),
        )


def _check_reference(spec: Spec, metrics: Mapping[str, Metric]) -> None:
    compared = [name for name, metric in metrics.items() if metric.needs_reference]
    criterion = spec.tuning.accuracy_criterion
    if compared and criterion.absolute is None:
        raise spec.error(
            f"{compared[0]} with compare_label: false is 0 for the fp32 model, of which a relative "
            "bar allows nothing to be lost. Write tuning.accuracy_criterion: {absolute: 0.01}, in "
            "the metric's unit.",
            "tuning",
            "accuracy_criterion",
        )


@contextmanager
def _located(spec: Spec) -> Iterator[None]:
    """Give errors that begin with a key of the spec its file and line."""
    try:
        yield
    except SpecError as error:
        if error.path is not None:
            raise
        key = str(error).split(maxsplit=1)[0].rstrip(":")
        raise spec.error(str(error), *key.split(".")) from None
