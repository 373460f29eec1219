"""Builds the report of a run and writes it as JSON."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.backends.base import FRAGILE, OpDecision
from lpot_examples.benchmark.result import BenchmarkReport
from lpot_examples.calibration.feed import Array
from lpot_examples.errors import OutputError
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.graph import TuningConfig
from lpot_examples.host import INSTRUCTION_SETS, host_info, library_versions
from lpot_examples.search import Trial
from lpot_examples.spec import Spec

Latency = BenchmarkReport


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Everything a report is made of.

    Attributes:
        spec: The tuning spec.
        criterion: The bar.
        baseline: The fp32 score, or None if accuracy was not checked.
        best: The shipped trial, or None likewise.
        trials: Every trial.
        seconds: Wall time from start to the end of the search.
        latency: The comparison of ``fp32`` with ``int8``, or None if it was left out.
        decisions: Every op's precision and reason.
        config: The shipped configuration.
        source: The fp32 model's file, or None.
        model: The shipped file.
        calibration_samples: Samples that the statistics come from.
        strategy: The strategy's name.
    """

    spec: Spec
    criterion: Criterion
    baseline: EvaluationResult | None
    best: Trial | None
    trials: Sequence[Trial]
    seconds: float
    latency: Latency | None
    decisions: Sequence[OpDecision]
    config: TuningConfig
    source: Path | None
    model: Path
    calibration_samples: int
    strategy: str


def build_report(outcome: Outcome) -> dict[str, Any]:
    """Return the report as JSON values."""
    host = host_info()
    return {
        "model": {"name": outcome.spec.model.name, "path": str(outcome.model)},
        "accuracy": _accuracy(outcome),
        "search": _search(outcome),
        "latency_ms": _latency(outcome.latency),
        "size_bytes": {
            "fp32": outcome.source.stat().st_size if outcome.source else None,
            "int8": outcome.model.stat().st_size,
        },
        "ops": [asdict(decision) for decision in outcome.decisions],
        "config": outcome.config.to_dict(),
        "calibration": {
            "samples": outcome.calibration_samples,
            "activation_algorithm": outcome.config.activation_algorithm,
            "weight_algorithm": outcome.config.weight_algorithm,
        },
        "host": {
            **host.to_dict(),
            "threads": host.logical_cores,
        },
        "exact_on": _exact_on(outcome),
        "versions": library_versions(),
        "seed": outcome.spec.tuning.random_seed,
        "spec": outcome.spec.to_dict(),
    }


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write a report, whole or not at all.

    Raises:
        OutputError: If it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write the report {path}: {error.strerror}. Make room or choose another place."
        ) from error


def measure(
    source: Path,
    model: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    sample: dict[str, Array] | None,
    seconds: float,
    folder: Path,
    progress: Callable[[int, int | None], None],
) -> Latency:
    """Time fp32 and int8 in turns in a fresh process, at batch 1.

    Args:
        source: The fp32 model's file.
        model: The int8 model's file.
        inputs: Input names.
        outputs: Output names; found when empty.
        sample: A calibration batch, whose first sample is the input; noise if None.
        seconds: Time for the rounds.
        folder: Where the input is handed over.
        progress: Told (done, total).
    """
    from lpot_examples.benchmark.runner import compare

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        input_file = None
        if sample is not None:
            input_file = Path(scratch) / "batch.npz"
            np.savez(input_file, **{name: array[:1] for name, array in sample.items()})
        return compare(
            {"fp32": source, "int8": model},
            seconds=seconds,
            inputs=inputs,
            outputs=outputs,
            input_file=input_file,
            progress=progress,
        )


def _accuracy(outcome: Outcome) -> dict[str, Any]:
    criterion = outcome.criterion
    bar = {
        "relative": criterion.relative,
        "absolute": criterion.absolute,
        "higher_is_better": criterion.higher_is_better,
        "text": criterion.describe(),
    }
    if outcome.baseline is None or outcome.best is None or outcome.best.score is None:
        return {
            "checked": False,
            "metric": None,
            "fp32": None,
            "int8": None,
            "drop_relative": None,
            "drop_absolute": None,
            "criterion": bar,
            "met": None,
        }
    fp32, int8 = outcome.baseline.score, outcome.best.score
    return {
        "checked": True,
        "metric": outcome.baseline.metric,
        "samples": outcome.baseline.samples,
        "fp32": fp32,
        "int8": int8,
        "drop_relative": criterion.relative_loss(fp32, int8),
        "drop_absolute": criterion.loss(fp32, int8),
        "criterion": bar,
        "met": outcome.best.met,
    }


def _search(outcome: Outcome) -> dict[str, Any]:
    evaluations = sum(trial.evaluated for trial in outcome.trials)
    return {
        "strategy": outcome.strategy,
        "trials": len(outcome.trials),
        "full_evaluations": evaluations + (1 if outcome.baseline is not None else 0),
        "seconds": outcome.seconds,
        "history": [trial.to_dict() for trial in outcome.trials],
    }


def _latency(latency: Latency | None) -> dict[str, Any]:
    if latency is None:
        return {"fp32": None, "int8": None, "speedup": None, "measured": False}
    speedup = latency.speedup("int8")
    return {
        "fp32": latency.latency["fp32"].to_dict(),
        "int8": latency.latency["int8"].to_dict(),
        "speedup": speedup.value,
        "speedup_interval": speedup.interval.to_dict(),
        "slower_than_fp32": speedup.value < 1,
        "batch_size": latency.batch_size,
        "measured": True,
        "noise": latency.noise.to_dict(),
    }


def _exact_on(outcome: Outcome) -> dict[str, Any]:
    """Tell on which instruction sets the emitted weights cannot saturate."""
    fragile = {decision.group for decision in outcome.decisions if FRAGILE in decision.reason}
    sets = {
        name: not (fragile and isa.u8s8_saturates) for name, isa in sorted(INSTRUCTION_SETS.items())
    }
    return {"instruction_sets": sets, "groups_that_may_saturate_elsewhere": len(fragile)}
