"""The driver: from a spec, a network and its data to a tuned network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from lpot_examples import __version__
from lpot_examples.errors import LpotError
from lpot_examples.events import Listener, LoggingListener
from lpot_examples.network import open_network
from lpot_examples.spec import Spec

if TYPE_CHECKING:
    from lpot_examples.backends.base import Backend
    from lpot_examples.backends.registry import Framework
    from lpot_examples.conclusion import TuningResult
    from lpot_examples.evaluation.evaluator import Evaluator
    from lpot_examples.journal import Journal
    from lpot_examples.search import SearchSpace
    from lpot_examples.workspace import Workspace

ENGINES = ("lpot", "neural_compressor")
"""What can make the int8 networks: this project, or Neural Compressor (an optional extra)."""

# Bytes kept free beyond the models themselves: journal, statistics, report.
_ROOM = 32_000_000


def tune(
    spec: Spec,
    model: Any,
    dataloader: Iterable[Any] | None = None,
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
    emit: Sequence[str] = (),
    runtime: str | None = None,
) -> TuningResult:
    """Find the int8 form of a network that clears the spec's accuracy bar.

    Args:
        spec: The tuning spec.
        model: Path of a network in any format of docs/formats.md, a ``GraphDef``, a ``tf.Graph``,
            a Keras model or a `TensorFlowModel`; an ONNX ``ModelProto`` or an `OnnxModel`.
        dataloader: Calibration data: yields inputs, or (inputs, label). That of the spec's
            ``quantization.calibration`` if None.
        eval_func: ``eval_func(model)`` returns a float, ``(float, per-sample scores)`` or an
            `EvaluationResult`. That of the spec's ``evaluation.accuracy`` if None; if there is
            neither, accuracy is not checked.
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
        emit: Forms that the result shall have: ``pb`` or ``onnx``. That of the network itself is
            always made; ``onnx`` of a network of TensorFlow is written beside it and certified on
            its own.
        runtime: What the result will run on, ``onnxruntime`` or ``openvino`` for a network in ONNX:
            evaluations and latencies are those of it. By default the network's own.

    Returns:
        The result; ``result.met`` tells whether the bar was cleared, and ``result.certified``
        whether it was by every form.

    Raises:
        LpotError: For everything that the user can mend.
    """
    from lpot_examples.evaluation.evaluator import Evaluator
    from lpot_examples.execution.choice import check_options, make_executor
    from lpot_examples.forms import emissions, further_forms, refuse_overwriting
    from lpot_examples.journal import Journal
    from lpot_examples.runtimes.deployed import Deployed, chosen_runtime
    from lpot_examples.trackers.choice import with_trackers
    from lpot_examples.tuner import Tuner
    from lpot_examples.workspace import open_workspace

    framework = _framework(spec, model)
    approach = _approach(spec, framework)
    check_options(workers, trial_timeout)
    version = _check_engine(engine, target_isa, framework)
    forms = further_forms(emit, framework, engine=engine)
    where = chosen_runtime(runtime, framework)
    elsewhere = where != chosen_runtime(None, framework)
    if not workers and hasattr(eval_func, "begin"):
        eval_func.begin()  # photographs are decoded while TensorFlow is being loaded
    target = Path(output) if output is not None else None
    refuse_overwriting(model, target, framework)
    listener = listener or LoggingListener()
    given = _Given(spec, dataloader, eval_func, build_eval_func, data_identity)
    given = _completed(given, model, workers, framework)
    spec, dataloader = given.spec, given.dataloader
    for note in spec.notes:
        listener.note(note)
    listener.stage("Reading the model")
    evaluator = None
    if given.eval_func is not None and not spec.tuning.exit_policy.performance_only:
        evaluator = Evaluator(given.eval_func)
    isa = _instruction_set(target_isa)
    network = open_network(model, spec)
    backend, space = _prepare(
        framework, network, engine=engine, version=version, spec=spec, isa=isa, approach=approach
    )
    listener.note(_describe(backend, space))
    for note in backend.notes:
        listener.note(note)
    if forms:
        listener.stage(f"Converting the model to {', '.join(forms)}")
    transfers = [framework.transfer(backend, isa, form) for form in forms]
    content, size = framework.content(network)
    identity = _identity(given, backend, content=content, isa=isa.name, evaluator=evaluator)
    if elsewhere:
        identity["runtime"] = where
    workspace = open_workspace(
        spec,
        identity,
        output=target,
        suffix=backend.suffix,
        room=_ROOM + 2 * (1 + len(forms)) * size,
    )
    journal = Journal(workspace.journal, identity)
    executor = None
    try:
        workspace.sweep()
        _start(backend, workspace, dataloader)
        _tell_beginning(workspace, journal, listener)
        source = framework.runnable_file(model, network, workspace.fp32)
        if elsewhere:
            backend = cast("Backend", Deployed(backend, where, source=source))
            listener.note(f"accuracy and latency are those on {where}.")
        listener = with_trackers(
            listener,
            spec,
            mlflow=mlflow,
            folder=workspace.folder,
            groups=len(backend.op_graph.quantizable),
            source=source,
            weights=framework.stored_weights,
        )
        further = emissions(
            forms,
            transfers,
            dataloader=dataloader,
            spec=spec,
            workspace=workspace,
            journal=journal,
            listener=listener,
            benchmark_seconds=benchmark_seconds,
        )
        if evaluator is not None:
            executor = make_executor(
                given.eval_func,
                evaluator,
                workers=_usable(workers, spec, listener),
                trial_timeout=trial_timeout,
                build=given.build_eval_func,
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
            calibration_key=_calibration_key(content, backend.engine, framework.calibration),
            listener=listener,
            benchmark_seconds=benchmark_seconds,
            executor=executor,
            runtime=where,
            emissions=further,
        )
        return tuner.run()
    finally:
        if executor is not None:
            executor.close()
        listener.ended()
        _stop(backend)
        workspace.sweep()
        journal.close()


class _Given(NamedTuple):
    """What is tuned with, see `tune`."""

    spec: Spec
    dataloader: Any
    eval_func: Any
    build_eval_func: Callable[[], Any] | None
    data_identity: str


def _completed(given: _Given, model: Any, workers: int, framework: Framework) -> _Given:
    """Take from the spec what is not given: calibration data, the evaluation, and its sense."""
    from lpot_examples.evaluation.from_spec import SpecEvaluation
    from lpot_examples.from_yaml import base_of, calibration_loader, evaluation, with_sense

    spec = given.spec
    if given.dataloader is None:
        given = given._replace(
            dataloader=calibration_loader(spec, model=model),
            data_identity=f"{given.data_identity} {base_of(spec)}",
        )
    if given.eval_func is None and spec.evaluation.accuracy is not None:
        sent = model
        if workers and not _is_file(model):
            sent = framework.portable(open_network(model, spec))
        opened = partial(open_network, sent, spec)
        build = partial(evaluation, spec, model=sent, reference=opened)
        given = given._replace(eval_func=build(), build_eval_func=build)
    if isinstance(given.eval_func, SpecEvaluation):
        given = given._replace(spec=with_sense(spec, given.eval_func.metrics))
    return given


def _identity(
    given: _Given, backend: Any, *, content: str, isa: str, evaluator: Evaluator | None
) -> dict[str, Any]:
    """Return what a run must have in common with an unfinished one to continue it."""
    from lpot_examples.host import library_versions

    return {
        "model": content,
        "spec": given.spec.fingerprint(),
        "data": given.data_identity,
        "isa": isa,
        "engine": backend.engine,
        "eval_func": evaluator.fingerprint() if evaluator else None,
        "versions": {"lpot_examples": __version__, **library_versions(beside=False)},
    }


def _framework(spec: Spec, model: Any) -> Framework:
    """Return the framework of a network; its file says it, and the spec must not ask for another.

    A spec of TensorFlow is read with an ONNX network as well: folders serve both.
    """
    from lpot_examples.backends.registry import framework_of

    found = framework_of(model)
    if spec.model.backend not in (found.name, "tensorflow"):
        raise spec.error(
            f"framework '{spec.model.framework}' needs an .onnx file, and the model is one of "
            f"{found.title}; give an .onnx file, or write tensorflow.",
            "model",
            "framework",
        )
    return found


def _approach(spec: Spec, framework: Framework) -> str:
    """Return how ranges are found; `onnxrt_integerops` means at run time unless it says otherwise.

    Raises:
        SpecError: If the framework does not have what the spec asks for.
    """
    asked = spec.quantization.approach
    if spec.model.framework == "onnxrt_integerops":
        if "approach" not in spec.quantization.model_fields_set:
            return "post_training_dynamic_quant"
        if asked != "post_training_dynamic_quant":
            raise spec.error(
                "onnxrt_integerops has post_training_dynamic_quant only; write that, or "
                "framework: onnxrt_qdq.",
                "quantization",
                "approach",
            )
    if asked not in framework.approaches:
        raise spec.error(
            f"'{asked}' is not supported for {framework.title}; use "
            f"{' or '.join(framework.approaches)}.",
            "quantization",
            "approach",
        )
    return asked


def _check_engine(name: str, target_isa: str | None, framework: Framework) -> str:
    """Return the version of an engine that is not this project's own, else an empty string."""
    from lpot_examples.errors import nearest

    if name not in ENGINES:
        raise LpotError(
            f"--engine must be one of {', '.join(ENGINES)}; it is '{name}'.{nearest(name, ENGINES)}"
        )
    if name == "lpot":
        return ""
    from lpot_examples.backends.neural_compressor.requirement import check_requirements

    if framework.name != "tensorflow":
        raise LpotError(
            f"--engine=neural_compressor makes networks of TensorFlow, and this one is of "
            f"{framework.title}; use --engine=lpot."
        )
    if target_isa:
        raise LpotError(
            "--target_isa has no meaning with --engine=neural_compressor, which makes the same "
            "network for every instruction set; leave it out, or use --engine=lpot."
        )
    return check_requirements()


def _prepare(
    framework: Framework,
    network: Any,
    *,
    engine: str,
    version: str,
    spec: Spec,
    isa: Any,
    approach: str,
) -> tuple[Backend, SearchSpace]:
    """Return the backend of an engine, and what a search may choose with it."""
    from lpot_examples.search import build_space

    if engine == "lpot":
        backend = framework.backend(network, isa, approach=approach)
        space = build_space(backend.op_graph, backend.op_types, spec)
        return backend, _at_run_time(space) if approach.endswith("dynamic_quant") else space
    from lpot_examples.backends.neural_compressor.backend import NeuralCompressorBackend
    from lpot_examples.backends.neural_compressor.recipe import (
        ACTIVATION_ALGORITHMS,
        WEIGHT_ALGORITHMS,
    )
    from lpot_examples.search.restrict import restrict

    other = NeuralCompressorBackend(network, isa, version=version)
    space = restrict(
        build_space(other.op_graph, other.op_types, spec),
        spec,
        engine=engine,
        activation_algorithms=ACTIVATION_ALGORITHMS,
        weight_algorithms=WEIGHT_ALGORITHMS,
    )
    return other, space


def _at_run_time(space: SearchSpace) -> SearchSpace:
    """Return the space without what is chosen from statistics, where no ranges are."""
    return replace(
        space,
        activation_algorithms=space.activation_algorithms[:1],
        sizes=space.sizes[-1:],
        repairs=False,
    )


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


def _calibration_key(content: str, engine: str, version: str) -> str:
    return hashlib.sha256(f"{content} {engine} {version}".encode()).hexdigest()[:16]


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


def _is_file(model: Any) -> bool:
    return isinstance(model, (str, Path))


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
