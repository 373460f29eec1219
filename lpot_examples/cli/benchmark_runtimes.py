"""``benchmark --runtime``: every network on every runtime, measured in one interleaved run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples.errors import LpotError

if TYPE_CHECKING:
    from lpot_examples.benchmark.result import BenchmarkReport
    from lpot_examples.evaluation.bars import Bars
    from lpot_examples.evaluation.result import EvaluationResult
    from lpot_examples.runtimes.artifacts import Artifact
    from lpot_examples.task import Task


def check_runtimes(names: Sequence[str]) -> None:
    """Find out at once that a runtime is not known or not installed.

    Raises:
        LpotError: If it is so.
    """
    from lpot_examples.runtimes.table import runtime_named

    for name in names:
        runtime_named(name).require()


def compare_runtimes(
    models: Mapping[str, Path],
    runtimes: Sequence[str],
    *,
    task: Task | None,
    function: Callable[..., Any] | None,
    timing: Mapping[str, Any] | None,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> dict[str, Any]:
    """Measure, print and return the result as JSON values.

    Args:
        models: The networks, by what they shall be called.
        runtimes: Names of runtimes.
        task: What the networks are for, and what may be lost of their accuracy.
        function: Scores a network; None measures no accuracy.
        timing: Options of `benchmark.runner.benchmark`; None measures no latency.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.

    Raises:
        LpotError: If no network can be run on any of the runtimes.
    """
    from lpot_examples.cli.benchmark_tables import print_comparison
    from lpot_examples.cli.console import messages
    from lpot_examples.host import host_info, library_versions
    from lpot_examples.runtimes.artifacts import artifacts
    from lpot_examples.runtimes.comparison import Comparison

    names = {"inputs": tuple(inputs), "outputs": tuple(outputs)}
    with tempfile.TemporaryDirectory(prefix="lpot_examples_") as folder:
        found = artifacts(models, runtimes, folder=Path(folder), tell=messages().print, **names)
        fit = [one for one in found if not one.reason]
        if not fit:
            raise LpotError(f"nothing can be run. {found[0].title}: {found[0].reason}")
        report = None if timing is None else _latency(fit, {**names, **timing})
        if report is not None:
            fit = [one for one in fit if one.name not in report.failed]
        scores, failures = ({}, {}) if function is None else score(fit, function, **names)
    result = Comparison(
        artifacts=found,
        report=report,
        scores=scores,
        failures=failures,
        bars=bars_of_task(task, function) if function is not None and task is not None else None,
    )
    print_comparison(result)
    return {
        **result.to_dict(),
        "topology": task.name if task is not None else None,
        "host": host_info().to_dict() if report is None else result.to_dict()["host"],
        "versions": library_versions(),
    }


def _latency(found: Sequence[Artifact], options: Mapping[str, Any]) -> BenchmarkReport:
    from lpot_examples.benchmark.runner import benchmark
    from lpot_examples.cli.console import progress

    with progress("Timing", unit="rounds") as told:
        return benchmark(
            {one.name: one.file for one in found},
            runtimes={one.name: one.runtime for one in found},
            skip_failing=True,
            progress=told,
            **options,
        )


def score(
    found: Sequence[Artifact],
    function: Callable[..., Any],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> tuple[dict[str, EvaluationResult], dict[str, str]]:
    """Evaluate each; return the scores, and why others cannot be had, by the artifact's name.

    Raises:
        LpotError: If none can be scored.
    """
    from lpot_examples.cli.console import progress
    from lpot_examples.evaluation.evaluator import Evaluator
    from lpot_examples.runtimes.table import load

    evaluate = Evaluator(function)
    scores: dict[str, EvaluationResult] = {}
    errors: dict[str, LpotError] = {}
    for one in found:
        try:
            model = load(one.file, runtime=one.runtime, inputs=inputs, outputs=outputs)
            with progress(f"Evaluating {one.title}", unit="samples") as told:
                scores[one.name] = evaluate(model, told)
            model.close()
        except LpotError as error:
            errors[one.name] = error
    if errors and not scores:
        raise next(iter(errors.values()))
    return scores, {name: str(error) for name, error in errors.items()}


def bars_of_task(task: Task, function: Callable[..., Any]) -> Bars:
    """Return what may be lost of the metrics that a function scores."""
    from lpot_examples.evaluation.from_spec import SpecEvaluation
    from lpot_examples.from_yaml import with_sense
    from lpot_examples.trials import bars_of

    spec = task.spec
    return bars_of(
        with_sense(spec, function.metrics) if isinstance(function, SpecEvaluation) else spec
    )
