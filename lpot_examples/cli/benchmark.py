"""The ``benchmark`` command: accuracy or latency of one or more models."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpot_examples.cli import benchmark_serving as serving
from lpot_examples.cli.benchmark_runtimes import check_runtimes, compare_runtimes
from lpot_examples.errors import LpotError, OutputError

if TYPE_CHECKING:
    from lpot_examples.spec.evaluation import Performance
    from lpot_examples.task import Task

_HELP = (
    "Measure the accuracy or the latency of one or more models.\n\n"
    "Several models are timed in turns, round by round, in fresh processes pinned to their cores; "
    "each is compared with the first. With --runtime every model runs on each of the runtimes, and "
    "the fastest that keeps the accuracy is named."
)

_EXAMPLES = """Examples:

  run_benchmark.sh --topology=ssd_shapes --mode=accuracy

  run_benchmark.sh --topology=fastestdet --input_model=fastestdet-int8.pb
  --dataset_location=coco/ --mode=accuracy

  run_benchmark.sh --config=my.yaml --input_model=fp32.pb,int8.pb --mode=accuracy

  run_benchmark.sh --input_model=fp32.pb,int8.pb --mode=benchmark --batch_size=1

  run_benchmark.sh --input_model=int8.pb --cores_per_instance=4 --num_of_instance=7

  run_benchmark.sh --topology=fastestdet --input_model=fastestdet.onnx,fastestdet-int8.onnx
  --dataset_location=coco/ --runtime=onnxruntime,openvino

  run_benchmark.sh --input_model=fp32.pb,int8.pb,int8.onnx --mode=benchmark
  --runtime=tensorflow,onnxruntime,openvino
"""
_EXAMPLES += serving.EXAMPLES


class Mode(StrEnum):
    """What to measure."""

    accuracy = "accuracy"
    benchmark = "benchmark"
    serving = "serving"


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """The models to measure, and what is known of them."""

    paths: tuple[Path, ...]
    task: Task | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    performance: Performance | None

    @property
    def models(self) -> dict[str, Path]:
        """The models by what they are called.

        Raises:
            LpotError: If one is given twice.
        """
        from lpot_examples.benchmark.runner import named

        return named(self.paths)

    def evaluation(self, *, required: bool = True) -> Callable[..., Any] | None:
        """Return what scores a model; None where nothing does and that is no mistake.

        Raises:
            LpotError: If there is none and one is required.
        """
        function = self.task.eval_func() if self.task is not None else None
        if function is None and required:
            raise LpotError(
                "--mode=accuracy needs --topology, whose evaluation function scores the models, "
                "or --config with evaluation.accuracy."
            )
        return function


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    # LPOT's scripts write --input_model; --input-model is taken as the same option.
    settings = {"token_normalize_func": lambda token: token.replace("-", "_")}
    app.command("benchmark", help=_HELP, epilog=_EXAMPLES, context_settings=settings)(benchmark)


def benchmark(
    *,
    topology: Annotated[
        str, typer.Option(metavar="NAME", help="A topology of this project, such as ssd_shapes.")
    ] = "",
    input_model: Annotated[
        str,
        typer.Option(
            "--input_model",
            metavar="FILE[,FILE...]",
            help="Networks; the first is the baseline. (default: the topology's own, downloaded "
            "where the catalogue knows it)",
        ),
    ] = "",
    dataset_location: Annotated[
        Path | None,
        typer.Option(
            "--dataset_location",
            metavar="FOLDER",
            help="Dataset, where none is embedded. (default: datasets/coco or datasets/imagenet)",
        ),
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="What to measure. (default: benchmark, which is latency; with --runtime and "
            "--topology or --config, accuracy as well)"
        ),
    ] = None,
    runtime: Annotated[
        str,
        typer.Option(
            metavar="NAME[,NAME...]",
            help="Run every network on each of these: tensorflow, onnxruntime, openvino. (default: "
            "each on its file's own)",
        ),
    ] = "",
    batch_size: Annotated[
        serving.Numbers | None,
        typer.Option(
            "--batch_size",
            parser=serving.numbers,
            metavar="N[,N...]",
            help="Samples in a batch. (default: 1 for latency; the topology's own for accuracy; "
            "1,2,4,8,16 for --mode=serving and --recommend)",
        ),
    ] = None,
    warmup: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Untimed calls of each model. (default: 10)"),
    ] = None,
    iters: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Timed calls of each model. (default: about 5 seconds' worth)"
        ),
    ] = None,
    cores_per_instance: Annotated[
        serving.Numbers | None,
        typer.Option(
            "--cores_per_instance",
            parser=serving.numbers,
            metavar="N[,N...]",
            help="Cores of each process. (default: all, shared equally)",
        ),
    ] = None,
    num_of_instance: Annotated[
        serving.Numbers | None,
        typer.Option(
            "--num_of_instance",
            "--instances",
            parser=serving.numbers,
            metavar="N[,N...]",
            help="Processes at the same time. (default: 1; all that divide the cores for "
            "--mode=serving and --recommend)",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="YAML",
            help="A tuning spec in place of the topology's own; without --topology it also says "
            "where the data is and how it is scored.",
        ),
    ] = None,
    inputs: Annotated[
        str, typer.Option(metavar="NAME[,NAME...]", help="Input names. (default: found)")
    ] = "",
    outputs: Annotated[
        str, typer.Option(metavar="NAME[,NAME...]", help="Output names. (default: found)")
    ] = "",
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input_file",
            metavar="NPY",
            help=".npy or .npz batch for the latency. (default: noise)",
        ),
    ] = None,
    output_json: Annotated[
        Path | None, typer.Option("--output_json", metavar="FILE", help="Also write the result.")
    ] = None,
    recommend: serving.Recommend = False,
    seconds: serving.Seconds = None,
    latency_limit: serving.LatencyLimit = None,
    plot: serving.Plot = "",
) -> None:
    """Measure the accuracy or the latency of one or more models."""
    if output_json is not None:
        _check_writable(output_json)
    runtimes = _words(runtime)
    if runtimes:
        check_runtimes(runtimes)
    many = recommend or mode is Mode.serving
    scored = mode is Mode.accuracy or (mode is None and (bool(runtimes) or recommend))
    subject = _subject(
        topology,
        input_model=input_model,
        config=config,
        dataset_location=dataset_location,
        batch_size=None if many else serving.only(batch_size, "--batch_size"),
        inputs=inputs,
        outputs=outputs,
        scored=scored,
    )
    if many:
        result = serving.serve(
            subject.models,
            runtimes,
            serving.Wanted(
                tables=mode is Mode.serving,
                recommend=recommend,
                batch_sizes=batch_size,
                instances=num_of_instance,
                cores_per_instance=cores_per_instance,
                seconds=seconds,
                latency_limit=latency_limit,
                plot=plot,
                output_json=output_json,
                input_file=input_file,
            ),
            task=subject.task,
            evaluation=partial(subject.evaluation, required=False) if scored else None,
            inputs=subject.inputs,
            outputs=subject.outputs,
        )
        if output_json is not None:
            _write_json(result, output_json)
        return
    flags = {
        "batch_size": serving.only(batch_size, "--batch_size"),
        "warmup": warmup,
        "iterations": iters,
        "cores_per_instance": serving.only(cores_per_instance, "--cores_per_instance"),
        "num_of_instance": serving.only(num_of_instance, "--num_of_instance"),
        "input_file": input_file,
    }
    if runtimes:
        result = compare_runtimes(
            subject.models,
            runtimes,
            task=subject.task,
            function=subject.evaluation(required=mode is Mode.accuracy) if scored else None,
            timing=None if mode is Mode.accuracy else _timing(subject, flags),
            inputs=subject.inputs,
            outputs=subject.outputs,
        )
    elif mode is Mode.accuracy:
        result = _accuracy(subject)
    else:
        result = _latency(subject, flags)
    if output_json is not None:
        _write_json(result, output_json)


def _subject(
    name: str,
    *,
    input_model: str,
    config: Path | None,
    dataset_location: Path | None,
    batch_size: int | None,
    inputs: str,
    outputs: str,
    scored: bool,
) -> _Subject:
    paths = tuple(Path(word) for word in _words(input_model))
    task = None
    if name or config is not None:
        from lpot_examples.cli.dataset import prepare_data
        from lpot_examples.cli.prepare_model import prepare
        from lpot_examples.task import open_task

        task = open_task(
            topology=name,
            config=config,
            dataset_location=dataset_location,
            batch_size=batch_size,
            needs_data=scored,
            prepare_data=prepare_data,
        ).with_model(paths[0] if paths else None, prepare=prepare, needs_data=scored)
        paths = paths or (task.found_model,)
    if not paths:
        raise LpotError(
            "a model is required. Give --input_model=model.pb, or --topology or --config with a "
            "model of its own."
        )
    spec = task.spec if task is not None else None
    return _Subject(
        paths=paths,
        task=task,
        inputs=_words(inputs) or (tuple(spec.model.inputs) if spec else ()),
        outputs=_words(outputs) or (tuple(spec.model.outputs) if spec else ()),
        performance=spec.evaluation.performance if spec else None,
    )


def _timing(subject: _Subject, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `benchmark.runner.benchmark`: of the spec, and what flags override."""
    from lpot_examples.cli.console import messages

    if subject.performance and subject.performance.configs.inter_num_of_threads:
        messages().print("inter_num_of_threads is not used: models run one op at a time.")
    given = {key: value for key, value in flags.items() if value is not None}
    return {**_from_spec(subject.performance), **given}


def _latency(subject: _Subject, flags: Mapping[str, Any]) -> dict[str, Any]:
    from lpot_examples.benchmark.runner import benchmark as run
    from lpot_examples.cli.benchmark_tables import print_latency
    from lpot_examples.cli.console import progress
    from lpot_examples.runtimes.table import own_runtime

    models, options = subject.models, _timing(subject, flags)
    with progress("Timing", unit="rounds") as report:
        result = run(
            models,
            inputs=subject.inputs,
            outputs=subject.outputs,
            progress=report,
            # Those of different runtimes get processes of their own.
            runtimes={name: own_runtime(path).name for name, path in models.items()},
            **options,
        )
    print_latency(result)
    return result.to_dict()


def _from_spec(performance: Performance | None) -> dict[str, Any]:
    """Translate the spec's ``evaluation.performance``; what is unset there is left out."""
    if performance is None:
        return {}
    configs, loader = performance.configs, performance.dataloader
    found = {
        "warmup": performance.warmup,
        "iterations": performance.iteration if performance.iteration > 0 else None,
        "cores_per_instance": configs.cores_per_instance,
        "num_of_instance": configs.num_of_instance,
        "threads": configs.intra_num_of_threads,
        "batch_size": loader.batch_size if loader is not None else None,
    }
    return {key: value for key, value in found.items() if value is not None}


def _accuracy(subject: _Subject) -> dict[str, Any]:
    from lpot_examples.backends.registry import load_model
    from lpot_examples.cli.benchmark_tables import print_accuracy
    from lpot_examples.cli.console import progress
    from lpot_examples.evaluation.evaluator import Evaluator
    from lpot_examples.host import host_info, library_versions

    function = subject.evaluation()
    assert function is not None and subject.task is not None
    evaluate = Evaluator(function)
    scores = {}
    for path in subject.paths:
        model = load_model(path, inputs=subject.inputs, outputs=subject.outputs)
        with progress(f"Evaluating {path.name}", unit="samples") as report:
            scores[str(path)] = evaluate(model, report)
        model.close()
    print_accuracy(scores)
    return {
        "mode": "accuracy",
        "topology": subject.task.name,
        "models": {
            path: {
                "metric": result.metric,
                "score": result.score,
                "samples": result.samples,
                "details": result.details,
            }
            for path, result in scores.items()
        },
        "host": host_info().to_dict(),
        "versions": library_versions(),
    }


def _check_writable(path: Path) -> None:
    """Find out before a long measurement, not after it."""
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(
            f"cannot write the result to {path}. Choose a file in a folder that exists and is "
            "writable."
        )


def _write_json(result: dict[str, Any], path: Path) -> None:
    from lpot_examples.workspace import replacing

    try:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n")
    except OSError as error:
        raise OutputError(
            f"cannot write the result to {path}: {error.strerror}. Free some space or choose "
            "another place."
        ) from error


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
