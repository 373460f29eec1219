"""LPOT's driver object: a yaml and attributes, then one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples.errors import LpotError
from lpot_examples.events import Listener, LoggingListener
from lpot_examples.network import open_network
from lpot_examples.spec import Spec, load_spec

if TYPE_CHECKING:
    from lpot_examples.backends.tensorflow.model import TensorFlowModel
    from lpot_examples.conclusion import TuningResult
    from lpot_examples.evaluation.from_spec import SpecEvaluation
    from lpot_examples.evaluation.metrics.base import Metric


class Quantization:
    """LPOT's driver.

    ``Quantization("spec.yaml")(model, q_dataloader=…, eval_func=…)`` returns the tuned model, as
    does setting the attributes and calling without arguments, or `fit`. What is not set comes from
    the yaml: calibration data from ``quantization.calibration.dataloader``, the evaluation from
    ``evaluation.accuracy``.

    Args:
        conf: Path of a yaml tuning spec, its content as a mapping, or a `Spec`; None for a spec
            of defaults.
        engine: What makes the int8 networks, one of `quantization.ENGINES`.
        emit: Forms that the result shall have, such as ``("pb", "onnx")``; see `tune`.

    Attributes:
        model: The fp32 network; see `tune`.
        calib_dataloader: Calibration data.
        eval_dataloader: Batches (inputs, labels) to score, with the metric.
        metric: An object with ``update(preds, labels)``, ``reset()`` and ``result()``, its class,
            or ``common.Metric`` of it; the yaml's metric if None.
        postprocess: A function of (outputs, labels) that returns them as the metric takes them, its
            class, or ``common.Postprocess`` of it; the yaml's if None.
        eval_func: Scores a model; takes the place of the three above.
        result: What the last call ended with, or None. ``result.met`` is the answer to whether
            the bar was cleared; ``result.report`` holds every figure.
    """

    def __init__(
        self,
        conf: str | Path | Mapping[str, Any] | Spec | None = None,
        *,
        engine: str = "lpot",
        emit: Sequence[str] = (),
    ) -> None:
        self.engine = engine
        self.emit = tuple(emit)
        self.spec = Spec.default() if conf is None else load_spec(conf)
        self.model: Any = None
        self.calib_dataloader: Iterable[Any] | None = None
        self.eval_dataloader: Iterable[Any] | None = None
        self.metric: Any = None
        self.postprocess: Any = None
        self.eval_func: Any = None
        self.q_func: Any = None
        self.result: TuningResult | None = None

    @property
    def q_dataloader(self) -> Iterable[Any] | None:
        """Another name of ``calib_dataloader``, as in LPOT's call."""
        return self.calib_dataloader

    @q_dataloader.setter
    def q_dataloader(self, dataloader: Iterable[Any]) -> None:
        self.calib_dataloader = dataloader

    def dataset(self, dataset_type: str, *arguments: Any, **by_name: Any) -> Any:
        """Return a dataset by LPOT's name, such as ``dataset("dummy", shape=(100, 224, 224, 3))``.

        Raises:
            SpecError: If there is none of that name, or it does not take the arguments.
            DataError: If its files are missing.
        """
        from lpot_examples.data import DATASETS

        return DATASETS(self.spec.model.framework)[dataset_type](*arguments, **by_name)

    def __call__(
        self,
        model: Any = None,
        q_dataloader: Iterable[Any] | None = None,
        q_func: Any = None,
        eval_dataloader: Iterable[Any] | None = None,
        eval_func: Any = None,
        *,
        output: str | Path | None = None,
        listener: Listener | None = None,
    ) -> TensorFlowModel:
        """Tune, and return the tuned model.

        Args:
            model: The fp32 network; see `tune`. The attribute of that name if None, as for the
                other arguments.
            q_dataloader: Calibration data.
            q_func: Not supported: quantization-aware training is another job.
            eval_dataloader: Batches (inputs, labels) to score; not needed beside ``eval_func``.
            eval_func: Scores a model.
            output: File of the result; by default in the workspace.
            listener: Told of everything; by default a logger.

        Returns:
            The model that clears the bar, or the best one found. If it does not clear the bar, a
            warning is logged and ``self.result.met`` is False.

        Raises:
            LpotError: For everything that the user can mend.
        """
        from lpot_examples.quantization import tune

        if q_func is not None or self.q_func is not None:
            raise LpotError(
                "q_func is for quantization-aware training, which this tool does not do; give "
                "q_dataloader for post-training quantization."
            )
        model = _unwrapped(_first(model, self.model))
        if model is None:
            raise LpotError("Quantization needs a model; give it to the call or set it before.")
        dataloader = _first(q_dataloader, self.calib_dataloader)
        if dataloader is None and self.spec.quantization.calibration.dataloader is None:
            raise LpotError(
                "Quantization needs calibration data (q_dataloader); give it to the call, set it "
                "before, or write quantization.calibration.dataloader into the yaml."
            )
        function = _first(eval_func, self.eval_func)
        if function is None:
            function = self._evaluation(model, _first(eval_dataloader, self.eval_dataloader))
        listener = listener or LoggingListener()
        self.result = tune(
            self.spec,
            model,
            dataloader,
            eval_func=function,
            output=output,
            engine=self.engine,
            data_identity=self._set_by_code(),
            listener=listener,
            emit=self.emit,
        )
        if self.result.met is False:
            listener.warning(
                f"the accuracy bar was NOT met; the best model found is {self.result.path}."
            )
        tuned: TensorFlowModel = self.result.model  # type: ignore[assignment]
        return tuned

    def fit(self) -> TensorFlowModel:
        """Do what a call without arguments does, as in later versions of LPOT."""
        return self()

    def _evaluation(self, model: Any, loader: Iterable[Any] | None) -> SpecEvaluation | None:
        """Return the evaluation of what is set; None to follow the yaml alone."""
        if loader is None and self.metric is None and self.postprocess is None:
            return None
        from lpot_examples.from_yaml import evaluation

        return evaluation(
            self.spec,
            loader=loader,
            model=model,
            reference=partial(open_network, model, self.spec),
            metrics=None if self.metric is None else _metric(self.metric),
            postprocess=None if self.postprocess is None else [_transform(self.postprocess)],
        )

    def _set_by_code(self) -> str:
        """Describe the arguments of what is set in code; its source is looked at elsewhere."""
        parts = (part for part in (self.metric, self.postprocess) if hasattr(part, "kwargs"))
        return " ".join(f"{part.name} {sorted(part.kwargs.items())}" for part in parts)


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _unwrapped(model: Any) -> Any:
    from lpot_examples.experimental.common import Model

    return model.root if isinstance(model, Model) else model


def _metric(given: Any) -> dict[str, Metric]:
    """Return a metric given as ``common.Metric``, a class or an instance, by its name."""
    from lpot_examples.evaluation.metrics.arguments import construct
    from lpot_examples.evaluation.metrics.base import Metric
    from lpot_examples.evaluation.metrics.user import UserMetric

    name = "user_metric"
    if hasattr(given, "metric_cls"):
        name = given.name
        given = construct(given.metric_cls, given.kwargs, name)
    elif isinstance(given, type):
        given = given()
    return {name: given if isinstance(given, Metric) else UserMetric(given, name)}


def _transform(given: Any) -> Any:
    if hasattr(given, "postprocess_cls"):
        from lpot_examples.evaluation.metrics.arguments import construct

        given = construct(given.postprocess_cls, given.kwargs, given.name)
    return given() if isinstance(given, type) else given
