"""``benchmark --mode=serving`` and ``--recommend``: how to deploy networks on this machine."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lpot_examples.errors import LpotError, OutputError

if TYPE_CHECKING:
    from lpot_examples.benchmark.serving.result import ServingReport
    from lpot_examples.runtimes.artifacts import Artifact
    from lpot_examples.runtimes.comparison import Comparison
    from lpot_examples.task import Task

NO_PLOT = "none"
_DEFAULT_PLOT = Path("serving.png")
_MOST_BATCHES = 8


@dataclass(frozen=True)
class Numbers:
    """Numbers of a command line, such as ``1,2,4``."""

    values: tuple[int, ...]


def numbers(text: str) -> Numbers:
    """Read numbers from 1 on, separated by commas.

    Raises:
        typer.BadParameter: If they are anything else.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdecimal() and int(word) > 0 for word in words):
        raise typer.BadParameter(
            f"'{text}' is not a number from 1 on, nor several separated by commas."
        )
    return Numbers(tuple(int(word) for word in words))


def only(found: Numbers | None, option: str) -> int | None:
    """Return the only number that was given; None if none was.

    Raises:
        typer.BadParameter: If there are several, which only serving takes.
    """
    if found is None:
        return None
    if len(found.values) != 1:
        raise typer.BadParameter(
            f"{option} takes one number here; several are for --mode=serving and --recommend."
        )
    return found.values[0]


Seconds = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Time for --mode=serving or --recommend. (default: 60 for each network on each "
        "runtime; 36 where no latency under load is measured)",
    ),
]
LatencyLimit = Annotated[
    float | None,
    typer.Option(
        "--latency_limit",
        metavar="MS",
        help="With --mode=serving or --recommend: the most samples per second with p99 of the "
        "latency under load within so many milliseconds.",
    ),
]
Plot = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        help="Picture of --mode=serving, .png or .svg; none for no picture. (default: beside "
        "--output_json, else serving.png)",
    ),
]
Recommend = Annotated[
    bool,
    typer.Option(
        "--recommend",
        help="Say which network to deploy on which runtime for latency and for throughput, with "
        "threads, instances and batch found by measuring; of those that keep the accuracy bar, "
        "where --topology or --config has data.",
    ),
]

EXAMPLES = """
  run_benchmark.sh --mode=serving --input_model=fp32.pb,int8.pb,int8.onnx --latency_limit=20

  run_benchmark.sh --recommend --topology=fastestdet --input_model=fp32.pb,int8.onnx
  --dataset_location=coco/ --runtime=tensorflow,onnxruntime,openvino
"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for.

    Attributes:
        tables: Whether figures are wanted for every network (``--mode=serving``).
        recommend: Whether a recommendation is.
        batch_sizes: Samples in a request; empty for the usual ones.
        instances: Numbers of processes; empty for all that divide the cores.
        cores_per_instance: Cores of each process; likewise.
        seconds: Time for everything; None for the default.
        latency_limit: Milliseconds for p99; None for no limit.
        plot: As on the command line.
        output_json: As on the command line.
        input_file: As on the command line.
    """

    tables: bool
    recommend: bool
    batch_sizes: Numbers | None = None
    instances: Numbers | None = None
    cores_per_instance: Numbers | None = None
    seconds: float | None = None
    latency_limit: float | None = None
    plot: str = ""
    output_json: Path | None = None
    input_file: Path | None = None


def serve(
    models: Mapping[str, Path],
    runtimes: Sequence[str],
    wanted: Wanted,
    *,
    task: Task | None,
    evaluation: Callable[[], Callable[..., Any] | None] | None,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> dict[str, Any]:
    """Measure, print and return the result as JSON values.

    Args:
        models: The networks, by what they shall be called.
        runtimes: Names of runtimes; each network's own when empty, and for a recommendation every
            one that is installed and reads it as it is.
        wanted: What is asked for.
        task: What the networks are for, and what may be lost of their accuracy.
        evaluation: Returns what scores a network; None where no accuracy is to be measured.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.

    Raises:
        LpotError: If no network can be run, or the picture cannot be written.
    """
    from lpot_examples.benchmark.serving.advice import advise
    from lpot_examples.cli import benchmark_serving_tables as tables

    picture = plot_target(wanted)
    names = {"inputs": tuple(inputs), "outputs": tuple(outputs)}
    with tempfile.TemporaryDirectory(prefix="lpot_examples_") as folder:
        found = _artifacts(models, runtimes, wanted, folder=Path(folder), names=names)
        fit = [one for one in found if not one.reason]
        if not fit:
            raise LpotError(f"nothing can be run. {found[0].title}: {found[0].reason}")
        accuracy, unchecked = None, "it was not asked for"
        if wanted.recommend:
            accuracy, unchecked = _accuracy(fit, task, evaluation, names)
        report = _measured(_keeping(fit, accuracy), wanted, names)
    by_name = {one.name: one for one in found}
    tables.print_left_out(found, report)
    if wanted.tables:
        tables.print_serving(report)
    result = report.to_dict()
    if wanted.recommend:
        advice = advise(report)
        tables.print_advice(advice, report, by_name, accuracy=accuracy, unchecked=unchecked)
        result["recommendation"] = {
            **tables.advice_to_dict(advice, by_name),
            "accuracy": None if accuracy is None else accuracy.to_dict()["models"],
            "accuracy_not_checked": unchecked or None,
        }
    if picture is not None:
        _write_picture(report, picture)
        result["plot"] = str(picture)
    return result


def plot_target(wanted: Wanted) -> Path | None:
    """Return where the picture goes; None for no picture.

    A file of that name that is not an earlier picture stays: the default takes another name, and a
    name that was given is refused.

    Raises:
        OutputError: If the picture that was asked for cannot be written.
    """
    from lpot_examples.benchmark.serving.plot import FORMATS, is_own

    if wanted.plot == NO_PLOT or not (wanted.plot or wanted.tables):
        return None
    if importlib.util.find_spec("matplotlib") is None:
        if wanted.plot:
            raise OutputError(
                "--plot needs the package matplotlib, which is not installed. Run 'pip install "
                "matplotlib', or give --plot=none."
            )
        return None
    if not wanted.plot:
        json = wanted.output_json
        target = _DEFAULT_PLOT if json is None else json.with_suffix(".png")
        number = 2
        first = target
        while target.exists() and not (target.is_file() and is_own(target)):
            target = first.with_name(f"{first.stem}-{number}{first.suffix}")
            number += 1
        return target
    target = Path(wanted.plot)
    if target.suffix.lower().lstrip(".") not in FORMATS:
        raise OutputError(f"--plot takes a file that ends in .png or .svg; got {target}.")
    if target.is_dir() or not target.parent.is_dir():
        raise OutputError(
            f"cannot write the plot to {target}. Choose a file in a folder that exists."
        )
    if target.exists() and not is_own(target):
        raise OutputError(
            f"{target} exists and is not a plot of an earlier run. Choose another name for --plot, "
            "or remove it."
        )
    return target


def _artifacts(
    models: Mapping[str, Path],
    runtimes: Sequence[str],
    wanted: Wanted,
    *,
    folder: Path,
    names: Mapping[str, tuple[str, ...]],
) -> list[Artifact]:
    from lpot_examples.cli.console import messages
    from lpot_examples.runtimes.artifacts import artifacts
    from lpot_examples.runtimes.table import RUNTIMES, runtimes_of

    found: list[Artifact] = []
    for label, path in models.items():
        chosen = runtimes
        if not runtimes and wanted.recommend:
            chosen = [name for name in runtimes_of(path) if RUNTIMES[name].installed]
        found += artifacts({label: path}, chosen, folder=folder, tell=messages().print, **names)
    return found


def _accuracy(
    found: Sequence[Artifact],
    task: Task | None,
    evaluation: Callable[[], Callable[..., Any] | None] | None,
    names: Mapping[str, tuple[str, ...]],
) -> tuple[Comparison | None, str]:
    """Return the scores; or None, and why there are none."""
    from lpot_examples.cli.benchmark_runtimes import bars_of_task, score
    from lpot_examples.runtimes.comparison import Comparison

    if task is None:
        return None, "give --topology or --config with data to have it checked"
    if evaluation is None:
        return None, "it is measured without --mode"
    try:
        function = evaluation()
    except LpotError as error:
        if task.dataset_location is not None:
            raise
        return None, str(error).splitlines()[0].rstrip(".")
    if function is None:
        return None, f"{task.name} has no evaluation"
    scores, failures = score(found, function, **names)
    return Comparison(
        artifacts=found, scores=scores, failures=failures, bars=bars_of_task(task, function)
    ), ""


def _keeping(found: Sequence[Artifact], accuracy: Comparison | None) -> list[Artifact]:
    """Return the artifacts that keep the bar; all of them where that is not known."""
    if accuracy is None:
        return list(found)
    return [row.artifact for row in accuracy.rows if row.met]


def _measured(
    found: Sequence[Artifact], wanted: Wanted, names: Mapping[str, tuple[str, ...]]
) -> ServingReport:
    from lpot_examples.benchmark.serving.measure import measure_serving
    from lpot_examples.cli.console import progress

    batches = wanted.batch_sizes.values if wanted.batch_sizes else ()
    if len(set(batches)) > _MOST_BATCHES:
        raise LpotError(f"--batch_size takes at most {_MOST_BATCHES} sizes; {len(batches)} came.")
    with progress("Measuring", unit="s") as told:
        return measure_serving(
            {one.name: one.file for one in found},
            runtimes={one.name: one.runtime for one in found},
            batch_sizes=batches,
            instances=wanted.instances.values if wanted.instances else (),
            cores_per_instance=wanted.cores_per_instance.values
            if wanted.cores_per_instance
            else (),
            seconds=wanted.seconds,
            latency_limit=wanted.latency_limit,
            under_load=wanted.tables or wanted.latency_limit is not None or bool(wanted.plot),
            threads=wanted.recommend,
            contest=not wanted.tables,
            input_file=wanted.input_file,
            progress=told,
            inputs=names["inputs"],
            outputs=names["outputs"],
        )


def _write_picture(report: ServingReport, target: Path) -> None:
    from lpot_examples.benchmark.serving.plot import draw
    from lpot_examples.cli.console import messages
    from lpot_examples.workspace import replacing

    try:
        with replacing(target) as temporary:
            temporary.write_bytes(draw(report, form=target.suffix.lower().lstrip(".")))
    except OSError as error:
        raise OutputError(
            f"cannot write the plot to {target}: {error.strerror}. Choose another place with "
            "--plot, or give --plot=none."
        ) from error
    messages().print(f"plot: {target}", soft_wrap=True)
