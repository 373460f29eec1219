"""Builds the report of a run and writes it as JSON."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.backends.base import Exactness, OpDecision
from lpot_examples.benchmark.result import BenchmarkReport
from lpot_examples.calibration.feed import Array, samples
from lpot_examples.errors import OutputError
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.repeat import Repeatability
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.graph import TuningConfig
from lpot_examples.graph.latency import LatencyMap
from lpot_examples.host import INSTRUCTION_SETS, host_info, library_versions
from lpot_examples.report.run import run_facts
from lpot_examples.search import Trial
from lpot_examples.spec import Spec
from lpot_examples.workspace import replacing

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
        exactness: Where which groups could saturate.
        config: The shipped configuration.
        source: The fp32 model's file, or None.
        model: The shipped file.
        calibration_samples: Samples that the statistics come from.
        strategy: The name of the strategy that ran.
        engine: What made the int8 networks; see `backends.base.Backend`.
        repeatability: What evaluating a model again showed, or None if none was.
        sessions: How many times the run was started or continued.
        complete: False for the best so far of a run that was stopped.
        sensitivity: Group name to the output error that reverting it removes, where it was found.
        latency_map: What groups and boundaries take, where it was measured; no stand-in.
        slower: The int8 model, where it is slower than fp32 and ``model`` is therefore fp32.
    """

    spec: Spec
    criterion: Criterion
    baseline: EvaluationResult | None
    best: Trial | None
    trials: Sequence[Trial]
    seconds: float
    latency: Latency | None
    decisions: Sequence[OpDecision]
    exactness: Exactness
    config: TuningConfig
    source: Path | None
    model: Path
    calibration_samples: int
    strategy: str
    engine: str
    repeatability: Repeatability | None = None
    sessions: int = 1
    complete: bool = True
    sensitivity: Mapping[str, float] = field(default_factory=dict)
    latency_map: LatencyMap | None = None
    slower: Path | None = None


def build_report(outcome: Outcome) -> dict[str, Any]:
    """Return the report as JSON values."""
    host = host_info()
    return {
        "model": {
            "name": outcome.spec.model.name,
            "path": str(outcome.model),
            "sha256": hashlib.sha256(outcome.model.read_bytes()).hexdigest(),
            "precision": "fp32" if outcome.slower else "int8",
            "slower_int8": None if outcome.slower is None else str(outcome.slower),
        },
        "source": _source(outcome.source),
        "engine": outcome.engine,
        "accuracy": _accuracy(outcome),
        "search": _search(outcome),
        "latency_ms": _latency(outcome.latency),
        "size_bytes": {
            "fp32": outcome.source.stat().st_size if outcome.source else None,
            "int8": (outcome.slower or outcome.model).stat().st_size,
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
        "exact_on": _exact_on(outcome.exactness),
        "instruction_sets": _instruction_sets(outcome.exactness),
        "versions": library_versions(),
        "seed": outcome.spec.tuning.random_seed,
        "spec": outcome.spec.to_dict(),
        "run": run_facts(),
    }


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write a report, whole or not at all.

    Raises:
        OutputError: If it cannot be written.
    """
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
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
        folder: Made to hand over the input, and removed.
        progress: Told (done, total).

    Raises:
        LpotError: If the models cannot be run, or the input cannot be handed over.
    """
    from lpot_examples.benchmark.runner import compare

    try:
        input_file = None if sample is None else _hand_over(sample, folder)
        return compare(
            {"fp32": source, "int8": model},
            seconds=seconds,
            inputs=inputs,
            outputs=outputs,
            input_file=input_file,
            progress=progress,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _hand_over(sample: dict[str, Array], folder: Path) -> Path:
    """Write the first sample of a batch; what is not one entry per sample stays whole."""
    size = samples(sample)
    arrays: dict[str, Any] = {
        name: array[:1] if array.ndim and len(array) == size else array
        for name, array in sample.items()
    }
    path = folder / "batch.npz"
    try:
        folder.mkdir(exist_ok=True)
        np.savez(path, **arrays)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}. Make room.") from error
    return path


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
            "interval": None,
            "certainty": None,
            "repeatability": None,
        }
    fp32, int8 = outcome.baseline.score, outcome.best.score
    interval, repeated = outcome.best.interval, outcome.repeatability
    return {
        "checked": True,
        "metric": outcome.baseline.metric,
        "samples": outcome.baseline.samples,
        "fp32": fp32,
        "int8": int8,
        # Of a score of 0 no fraction can be lost.
        "drop_relative": criterion.relative_loss(fp32, int8) if fp32 else None,
        "drop_absolute": criterion.loss(fp32, int8),
        "criterion": bar,
        "met": outcome.best.met,
        "interval": interval,
        "certainty": interval["text"] if interval else _uncertainty(outcome),
        "repeatability": repeated and {**repeated.to_dict(), "text": repeated.text},
    }


def _uncertainty(outcome: Outcome) -> str:
    """Tell what is known of the bar where there is no interval."""
    best, repeated = outcome.best, outcome.repeatability
    if best is not None and best.scores:
        return "how sure the losses are is not known: intervals are for a single metric"
    if best is not None and best.loss is not None and repeated is not None and repeated.spread:
        if abs(best.allowance - best.loss) <= 2 * repeated.spread:
            return (
                f"not sure: {repeated.text}, and the loss is only "
                f"{abs(best.allowance - best.loss):.3g} away from the bar"
            )
        return f"{repeated.text}; the loss is further away from the bar than twice that"
    return (
        "how sure the loss is cannot be told: the evaluation gives one number; return "
        "(score, per-sample scores) to know"
    )


def _source(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _search(outcome: Outcome) -> dict[str, Any]:
    evaluations = sum(trial.evaluated for trial in outcome.trials)
    repeated = outcome.repeatability
    if repeated is not None and repeated.evaluated == 1:  # a few samples are no evaluation
        evaluations += 1
    return {
        "strategy": outcome.strategy,
        "strategy_requested": outcome.spec.tuning.strategy.name,
        "complete": outcome.complete,
        "sessions": outcome.sessions,
        "shipped": None if outcome.best is None else outcome.best.index,
        "trials": len(outcome.trials),
        "full_evaluations": evaluations + (1 if outcome.baseline is not None else 0),
        "seconds": outcome.seconds,
        "sensitivity": dict(outcome.sensitivity),
        "latency_map": None if outcome.latency_map is None else outcome.latency_map.to_dict(),
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
        # Only what the measurement shows: an interval that includes 1 shows no difference.
        "faster_than_fp32": speedup.interval.low > 1,
        "slower_than_fp32": speedup.interval.high < 1,
        "batch_size": latency.batch_size,
        "measured": True,
        "noise": latency.noise.to_dict(),
    }


def _exact_on(exactness: Exactness) -> dict[str, Any]:
    """Tell on which instruction sets the emitted weights cannot saturate."""
    return {
        "instruction_sets": {name: not exactness[name] for name in sorted(exactness)},
        "groups_that_may_saturate_elsewhere": max(map(len, exactness.values()), default=0),
    }


def _instruction_sets(exactness: Exactness) -> dict[str, Any]:
    """Tell for each instruction set whether the model is exact there, and if not, in what."""
    return {
        name: {
            "exact": not fragile,
            "groups": len(fragile),
            "known": INSTRUCTION_SETS[name].source,
            "names": list(fragile),
        }
        for name, fragile in exactness.items()
    }
