"""The driver, in Python and as LPOT users write it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples import __version__
from lpot_examples.errors import LpotError, ModelError
from lpot_examples.events import Listener, LoggingListener
from lpot_examples.spec import Spec, load_spec

if TYPE_CHECKING:
    from lpot_examples.backends.neural_compressor.backend import NeuralCompressorBackend
    from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
    from lpot_examples.backends.tensorflow.model import TensorFlowModel
    from lpot_examples.journal import Journal
    from lpot_examples.search import SearchSpace
    from lpot_examples.tuner import TuningResult
    from lpot_examples.workspace import Workspace

ENGINES = ("lpot", "neural_compressor")
"""What can make the int8 networks: this project, or Neural Compressor (an optional extra)."""

# Bytes kept free beyond the models themselves: journal, statistics, report.
_ROOM = 32_000_000


def tune(
    spec: Spec,
    model: Any,
    dataloader: Iterable[Any],
    *,
    eval_func: Any = None,
    output: str | Path | None = None,
    engine: str = "lpot",
    target_isa: str | None = None,
    data_identity: str = "",
    listener: Listener | None = None,
    benchmark_seconds: float = 8.0,
    mlflow: bool = False,
    workers: int = 0,
    trial_timeout: float = 0.0,
    build_eval_func: Callable[[], Any] | None = None,
) -> TuningResult:
    """Find the int8 form of a network that clears the spec's accuracy bar.

    Args:
        spec: The tuning spec.
        model: Path of a frozen ``.pb``, a ``GraphDef``, a ``tf.Graph`` or a `TensorFlowModel`.
        dataloader: Calibration data: yields inputs, or (inputs, label).
        eval_func: ``eval_func(model)`` returns a float, ``(float, per-sample scores)`` or an
            `EvaluationResult`. Without one accuracy is not checked.
        output: File of the result; by default in the workspace.
        engine: What makes the int8 networks, one of `ENGINES`.
        target_isa: A name in `host.INSTRUCTION_SETS` to emit for; this machine's by default.
        data_identity: Describes the data, so that a run on other data is not continued.
        listener: Told of everything; by default a logger.
        benchmark_seconds: Time for the final comparison of latencies; 0 leaves it out.
        mlflow: Whether to record the run in MLflow, an optional extra.
        workers: Worker processes that evaluate, each on its own cores, so that a crash of the
            runtime is one lost trial; 0 evaluates in this process. See docs/execution.md.
        trial_timeout: Seconds that an evaluation may take in a worker; 0 for no limit.
        build_eval_func: Picklable function that returns ``eval_func`` in a worker; by default
            ``eval_func`` itself is pickled, with all that it holds.

    Returns:
        The result; ``result.met`` tells whether the bar was cleared.

    Raises:
        LpotError: For everything that the user can mend.
    """
    from lpot_examples.backends.tensorflow.calibrate import SAMPLE
    from lpot_examples.backends.tensorflow.constants import stored_weights
    from lpot_examples.evaluation.evaluator import Evaluator
    from lpot_examples.execution.choice import check_options, make_executor
    from lpot_examples.host import library_versions
    from lpot_examples.journal import Journal
    from lpot_examples.trackers.choice import with_trackers
    from lpot_examples.tuner import Tuner
    from lpot_examples.workspace import open_workspace

    _check_supported(spec, eval_func)
    check_options(workers, trial_timeout)
    version = _check_engine(engine, target_isa)
    target = Path(output) if output is not None else None
    _refuse_overwriting(model, target)
    listener = listener or LoggingListener()
    for note in spec.notes:
        listener.note(note)
    listener.stage("Reading the model")
    evaluator = None
    if eval_func is not None and not spec.tuning.exit_policy.performance_only:
        evaluator = Evaluator(eval_func)
    isa = _instruction_set(target_isa)
    network = _open(model, spec)
    backend, space = _prepare(engine, version, network, spec=spec, isa=isa)
    listener.note(_describe(backend, space))
    for note in backend.notes:
        listener.note(note)
    content = network.graph_def.SerializeToString(deterministic=True)
    identity = {
        "model": hashlib.sha256(content).hexdigest(),
        "spec": spec.fingerprint(),
        "data": data_identity,
        "isa": isa.name,
        "engine": backend.engine,
        "eval_func": evaluator.fingerprint() if evaluator else None,
        "versions": {"lpot_examples": __version__, **library_versions()},
    }
    workspace = open_workspace(
        spec, identity, output=target, suffix=backend.suffix, room=_ROOM + 2 * len(content)
    )
    journal = Journal(workspace.journal, identity)
    executor = None
    try:
        workspace.sweep()
        _start(backend, workspace, dataloader)
        _tell_beginning(workspace, journal, listener)
        source = _source(model, network, workspace.fp32)
        listener = with_trackers(
            listener,
            spec,
            mlflow=mlflow,
            folder=workspace.folder,
            groups=len(backend.op_graph.quantizable),
            source=source,
            weights=stored_weights,
        )
        if evaluator is not None:
            executor = make_executor(
                eval_func,
                evaluator,
                workers=_usable(workers, spec, listener),
                trial_timeout=trial_timeout,
                build=build_eval_func,
            )
        tuner = Tuner(
            backend=backend,
            space=space,
            spec=spec,
            dataloader=dataloader,
            evaluator=evaluator,
            workspace=workspace,
            journal=journal,
            source=source,
            calibration_key=_calibration_key(content, backend.engine, str((SAMPLE, 2))),
            listener=listener,
            benchmark_seconds=benchmark_seconds,
            executor=executor,
        )
        return tuner.run()
    finally:
        if executor is not None:
            executor.close()
        listener.ended()
        _stop(backend)
        workspace.sweep()
        journal.close()


class Quantization:
    """LPOT's driver.

    ``Quantization("spec.yaml")(model, q_dataloader=…, eval_func=…)`` returns the tuned model, as
    does setting the attributes ``model``, ``calib_dataloader`` and ``eval_func`` and calling
    without arguments.

    Args:
        conf: Path of a yaml tuning spec, its content as a mapping, or a `Spec`; None for a spec
            of defaults.
        engine: What makes the int8 networks, one of `ENGINES`.

    Attributes:
        model: The fp32 network; see `tune`.
        calib_dataloader: Calibration data.
        eval_func: Scores a model.
        result: What the last call ended with, or None. ``result.met`` is the answer to whether
            the bar was cleared; ``result.report`` holds every figure.
    """

    def __init__(
        self, conf: str | Path | Mapping[str, Any] | Spec | None = None, *, engine: str = "lpot"
    ) -> None:
        self.engine = engine
        self.spec = Spec.default() if conf is None else load_spec(conf)
        self.model: Any = None
        self.calib_dataloader: Iterable[Any] | None = None
        self.eval_dataloader: Iterable[Any] | None = None
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
            eval_dataloader: Not needed beside ``eval_func``, and not supported yet without one.
            eval_func: Scores a model.
            output: File of the result; by default in the workspace.
            listener: Told of everything; by default a logger.

        Returns:
            The model that clears the bar, or the best one found. If it does not clear the bar, a
            warning is logged and ``self.result.met`` is False.

        Raises:
            LpotError: For everything that the user can mend.
        """
        if q_func is not None or self.q_func is not None:
            raise LpotError(
                "q_func is for quantization-aware training, which this tool does not do; give "
                "q_dataloader for post-training quantization."
            )
        model = model if model is not None else self.model
        dataloader = q_dataloader if q_dataloader is not None else self.calib_dataloader
        function = eval_func if eval_func is not None else self.eval_func
        given = (eval_dataloader, self.eval_dataloader)
        if function is None and any(loader is not None for loader in given):
            raise LpotError("eval_dataloader is not supported yet; give eval_func, which scores.")
        if model is None or dataloader is None:
            missing = "a model" if model is None else "calibration data (q_dataloader)"
            raise LpotError(f"Quantization needs {missing}; give it to the call or set it before.")
        listener = listener or LoggingListener()
        self.result = tune(
            self.spec,
            model,
            dataloader,
            eval_func=function,
            output=output,
            engine=self.engine,
            listener=listener,
        )
        if self.result.met is False:
            listener.warning(
                f"the accuracy bar was NOT met; the best model found is {self.result.path}."
            )
        tuned: TensorFlowModel = self.result.model  # type: ignore[assignment]
        return tuned


def _check_supported(spec: Spec, eval_func: Any) -> None:
    if spec.model.backend != "tensorflow":
        raise spec.error(
            f"framework '{spec.model.framework}' is not supported yet; use tensorflow.",
            "model",
            "framework",
        )
    if spec.quantization.approach != "post_training_static_quant":
        raise spec.error(
            f"'{spec.quantization.approach}' is not supported for TensorFlow; use "
            "post_training_static_quant.",
            "quantization",
            "approach",
        )
    if eval_func is None and spec.evaluation is not None and spec.evaluation.accuracy is not None:
        raise spec.error(
            "evaluation.accuracy cannot be run from the yaml yet; give eval_func in Python, or a "
            "topology folder with eval_func.py.",
            "evaluation",
            "accuracy",
        )


def _check_engine(name: str, target_isa: str | None) -> str:
    """Return the version of an engine that is not this project's own, else an empty string."""
    from lpot_examples.errors import nearest

    if name not in ENGINES:
        raise LpotError(
            f"--engine must be one of {', '.join(ENGINES)}; it is '{name}'.{nearest(name, ENGINES)}"
        )
    if name == "lpot":
        return ""
    from lpot_examples.backends.neural_compressor.requirement import check_requirements

    if target_isa:
        raise LpotError(
            "--target_isa has no meaning with --engine=neural_compressor, which makes the same "
            "network for every instruction set; leave it out, or use --engine=lpot."
        )
    return check_requirements()


def _prepare(
    engine: str, version: str, network: TensorFlowModel, *, spec: Spec, isa: Any
) -> tuple[TensorFlowBackend | NeuralCompressorBackend, SearchSpace]:
    """Return the backend of an engine, and what a search may choose with it."""
    from lpot_examples.backends.neural_compressor.backend import NeuralCompressorBackend
    from lpot_examples.backends.neural_compressor.recipe import (
        ACTIVATION_ALGORITHMS,
        WEIGHT_ALGORITHMS,
    )
    from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
    from lpot_examples.search import build_space
    from lpot_examples.search.restrict import restrict

    if engine == "lpot":
        backend = TensorFlowBackend(network, isa)
        return backend, build_space(backend.op_graph, backend.op_types, spec)
    other = NeuralCompressorBackend(network, isa, version=version)
    space = restrict(
        build_space(other.op_graph, other.op_types, spec),
        spec,
        engine=engine,
        activation_algorithms=ACTIVATION_ALGORITHMS,
        weight_algorithms=WEIGHT_ALGORITHMS,
    )
    return other, space


def _start(backend: Any, workspace: Workspace, dataloader: Iterable[Any]) -> None:
    """Tell a backend that works in files where these may go."""
    from lpot_examples.backends.neural_compressor.backend import NeuralCompressorBackend
    from lpot_examples.workspace import temporary_path

    if isinstance(backend, NeuralCompressorBackend):
        backend.start(temporary_path(workspace.calibration / backend.engine), dataloader)


def _stop(backend: Any) -> None:
    from lpot_examples.backends.neural_compressor.backend import NeuralCompressorBackend

    if isinstance(backend, NeuralCompressorBackend):
        backend.close()


def _calibration_key(content: bytes, engine: str, version: str) -> str:
    return hashlib.sha256(content + f"{engine} {version}".encode()).hexdigest()[:16]


def _instruction_set(name: str | None) -> Any:
    from lpot_examples.errors import nearest
    from lpot_examples.host import INSTRUCTION_SETS, host_info

    chosen = name or host_info().isa
    if chosen not in INSTRUCTION_SETS:
        known = ", ".join(INSTRUCTION_SETS)
        raise LpotError(
            f"--target_isa must be one of {known}; it is '{chosen}'."
            f"{nearest(chosen, INSTRUCTION_SETS)}"
        )
    return INSTRUCTION_SETS[chosen]


def _open(model: Any, spec: Spec) -> TensorFlowModel:
    from lpot_examples.backends.tensorflow.model import TensorFlowModel, load_model

    inputs, outputs = spec.model.inputs, spec.model.outputs
    if isinstance(model, TensorFlowModel):
        return model
    if isinstance(model, (str, Path)):
        return load_model(model, inputs=inputs, outputs=outputs)
    graph_def = model.as_graph_def() if hasattr(model, "as_graph_def") else model
    if not hasattr(graph_def, "node"):
        raise ModelError(
            "the model must be the path of a frozen .pb file, a GraphDef or a tf.Graph; got "
            f"{type(model).__name__}."
        )
    return TensorFlowModel(graph_def, inputs=inputs, outputs=outputs)


def _refuse_overwriting(model: Any, output: Path | None) -> None:
    if output is None or not isinstance(model, (str, Path)):
        return
    try:
        same = output.samefile(model)
    except OSError:  # one of them does not exist, or cannot: then they differ
        same = False
    if same:
        raise LpotError(
            f"the output {output} is the input model itself, which must not be overwritten; "
            "choose another --output_model."
        )


def _source(model: Any, network: TensorFlowModel, path: Path) -> Path:
    """Return a file of the fp32 model for the benchmark; written if there is none."""
    if isinstance(model, (str, Path)):
        return Path(model)
    return network.save(path)


def _tell_beginning(workspace: Workspace, journal: Journal, listener: Listener) -> None:
    listener.note(f"workspace: {workspace.folder}")
    if journal.resumed:
        listener.note("an unfinished run of the same model, spec and data is continued.")
    if journal.set_aside is not None:
        listener.note(
            "an unfinished run of another model, spec or data was here; its journal is now "
            f"{journal.set_aside}."
        )


def _usable(workers: int, spec: Spec, listener: Listener) -> int:
    """Return how many workers can have something to do."""
    from lpot_examples.search.strategies import STRATEGIES
    from lpot_examples.tuner import runnable

    name = runnable(spec)
    if workers > 1 and not STRATEGIES[name].foresees:
        listener.note(
            f"strategy '{name}' asks for one trial at a time, so one worker is used, on all cores."
        )
        return 1
    return workers


def _describe(backend: Any, space: Any) -> str:
    groups = len(backend.op_graph.groups)
    able = len(backend.op_graph.quantizable)
    kept = f", {len(space.reasons)} kept in fp32 by the spec" if space.reasons else ""
    engine = "" if backend.engine == "lpot" else f"; the engine is {backend.engine}"
    return f"{groups} fusion groups, {able} of which can run in int8{kept}{engine}"
