"""The ``tune`` command: an fp32 model in, a certified int8 model out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

_HELP = (
    "Find the fastest int8/fp32 form of a model that verifiably clears an accuracy bar.\n\n"
    "Exit codes: 0 the bar is met, by every form of --emit; 2 it is not (the model is saved under "
    "a name that says so), 1 the run could not be done, 130 stopped by Ctrl-C. The same command "
    "continues an interrupted run."
)

_EXAMPLES = """Examples:

  run_tuning.sh --topology=ssd_shapes

  run_tuning.sh --topology=fastestdet --input_model=fastestdet.pb
  --dataset_location=coco/ --output_model=fastestdet-int8.pb

  run_tuning.sh --topology=squeezenet --input_model=squeezenet.onnx
  --dataset_location=imagenet/ --output_model=squeezenet-int8.onnx

  run_tuning.sh --topology=squeezenet --input_model=squeezenet.pb
  --dataset_location=imagenet/ --output_model=squeezenet-int8.pb --emit=pb,onnx

  run_tuning.sh --config=my.yaml --input_model=my.pb

  run_tuning.sh --topology=digits --config=my.yaml --target_isa=avx2

  run_tuning.sh --topology=ssd_shapes --engine=neural_compressor

  run_tuning.sh --topology=fastestdet --input_model=fastestdet.onnx --dataset_location=coco/
  --runtime=openvino
"""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    settings = {"token_normalize_func": lambda token: token.replace("-", "_")}
    app.command("tune", help=_HELP, epilog=_EXAMPLES, context_settings=settings)(tune_command)


def tune_command(
    *,
    topology: Annotated[
        str, typer.Option(metavar="NAME", help="A topology folder, such as ssd_shapes.")
    ] = "",
    input_model: Annotated[
        Path | None,
        typer.Option(
            "--input_model",
            metavar="FILE",
            help="The fp32 network. (default: the topology's own, downloaded where the catalogue "
            "knows it)",
        ),
    ] = None,
    output_model: Annotated[
        Path | None,
        typer.Option(
            "--output_model",
            metavar="FILE",
            help="The tuned .pb or .onnx. (default: in the workspace)",
        ),
    ] = None,
    dataset_location: Annotated[
        Path | None,
        typer.Option(
            "--dataset_location",
            metavar="FOLDER",
            help="Dataset, where none is embedded. (default: datasets/coco or datasets/imagenet)",
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
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch_size", min=1, metavar="N", help="Samples in a batch of the evaluation."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Evaluate the first N samples only, for a quick look."
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What makes the int8 networks: lpot, or neural_compressor to compare with.",
        ),
    ] = "lpot",
    emit: Annotated[
        str,
        typer.Option(
            metavar="FORMS",
            help="Forms of the result: pb,onnx writes an .onnx file of the same decisions beside "
            "the .pb, certified on ONNX Runtime. (default: the network's own)",
        ),
    ] = "",
    runtime: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What will run the result: openvino for an .onnx network that is deployed there. "
            "It is evaluated and timed on it. (default: the network's own)",
        ),
    ] = "",
    target_isa: Annotated[
        str,
        typer.Option(
            "--target_isa",
            metavar="NAME",
            help="Instruction set of the CPU that will run the model. (default: this one's)",
        ),
    ] = "",
    max_trials: Annotated[
        int | None,
        typer.Option("--max_trials", min=1, metavar="N", help="Overrides the spec's."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Overrides the spec's.")
    ] = None,
    workspace: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Journal and candidates. (default: ./lpot_workspace/…)"
        ),
    ] = None,
    benchmark_seconds: Annotated[
        float,
        typer.Option(
            "--benchmark_seconds",
            min=0,
            metavar="SECONDS",
            help="Time for the comparison with fp32; 0 skips it.",
        ),
    ] = 8.0,
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Evaluate in N processes on their own cores, so that a crash of the runtime "
            "loses one trial; 0 evaluates in this process.",
        ),
    ] = 0,
    trial_timeout: Annotated[
        float,
        typer.Option(
            "--trial_timeout",
            min=0,
            metavar="SECONDS",
            help="An evaluation that takes longer is lost; 0 for no limit. Needs --workers.",
        ),
    ] = 0.0,
    mlflow: Annotated[
        bool,
        typer.Option(
            "--mlflow", help="Record the run in MLflow (extra: pip install lpot-examples[mlflow])."
        ),
    ] = False,
) -> None:
    """Find the fastest int8/fp32 form of a model that verifiably clears an accuracy bar."""
    from lpot_examples.cli.dataset import prepare_data
    from lpot_examples.cli.listener import ConsoleListener
    from lpot_examples.cli.prepare_model import prepare
    from lpot_examples.cli.tune_tables import print_result
    from lpot_examples.quantization import tune
    from lpot_examples.task import open_task

    overrides: dict[str, Any] = {
        "tuning.exit_policy.max_trials": max_trials,
        "tuning.exit_policy.timeout": timeout,
        "tuning.workspace.path": str(workspace) if workspace else None,
    }
    task = open_task(
        topology=topology,
        config=config,
        overrides={key: value for key, value in overrides.items() if value is not None},
        dataset_location=dataset_location,
        batch_size=batch_size,
        limit=limit,
        prepare_data=prepare_data,
    ).with_model(input_model, prepare=prepare, needs_data=True)
    listener = ConsoleListener()
    if dataset_location is None and task.dataset_location is not None:
        listener.note(f"dataset: {task.dataset_location}")
    try:
        result = tune(
            task.spec,
            task.model,
            task.q_dataloader(),
            eval_func=task.eval_func(),
            output=output_model,
            engine=engine,
            target_isa=target_isa or None,
            runtime=runtime or None,
            data_identity=task.data_identity(),
            listener=listener,
            benchmark_seconds=benchmark_seconds,
            mlflow=mlflow,
            workers=workers,
            trial_timeout=trial_timeout,
            build_eval_func=task.eval_func,
            emit=emit.split(","),
        )
    finally:
        listener.close()
    asked = {"topology": topology, "config": config, "dataset_location": dataset_location}
    print_result(result, again=[f"--{name}={value}" for name, value in asked.items() if value])
    if result.certified is False:
        raise typer.Exit(2)
