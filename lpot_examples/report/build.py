"""Builds the report of a run and writes it as JSON."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.backends.base import Exactness, OpDecision
from lpot_examples.benchmark.result import BenchmarkReport
from lpot_examples.benchmark.stats import Speedup
from lpot_examples.calibration.feed import Array, samples
from lpot_examples.errors import OutputError
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.repeat import Repeatability
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.graph import TuningConfig
from lpot_examples.graph.latency import LatencyMap
from lpot_examples.host import INSTRUCTION_SETS, host_info, library_versions
from lpot_examples.report.artifacts import Artifact, Score, own_entry
from lpot_examples.report.run import run_facts
from lpot_examples.report.sections import accuracy_section, full_evaluations, objective_section
from lpot_examples.search import Trial
from lpot_examples.search.objective import Objective
from lpot_examples.spec import Spec
from lpot_examples.trials import bars_of
from lpot_examples.workspace import replacing

Latency = BenchmarkReport


@dataclass(frozen=True, kw_only=True)
class Rival:
    """The runner-up, timed in turns with the best trial.

    Attributes:
        trial: Its index.
        instead_of: The index of the trial that the search held for the best.
        ratio: How many times as fast as that one it is.
        taken: Whether it is clearly faster, and therefore the result.
    """

    trial: int
    instead_of: int
    ratio: Speedup
    taken: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**asdict(self), "ratio": self.ratio.to_dict()}


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
        rival: The runner-up that the best trial was timed with, or None if there was none.
        slower: The int8 model, where it is slower than fp32 and ``model`` is therefore fp32.
        runtime: What runs ``model``.
        artifacts: Its forms for other runtimes.
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
    rival: Rival | None = None
    slower: Path | None = None
    runtime: str = ""
    artifacts: Sequence[Artifact] = ()


def build_report(outcome: Outcome) -> dict[str, Any]:
    """Return the report as JSON values."""
    host = host_info()
    precision = "fp32" if outcome.slower else "int8"
    accuracy = accuracy_section(
        replace(bars_of(outcome.spec), criterion=outcome.criterion),
        baseline=outcome.baseline,
        best=outcome.best,
        repeatability=outcome.repeatability,
    )
    return {
        "model": {
            "name": outcome.spec.model.name,
            "path": str(outcome.model),
            "sha256": hashlib.sha256(outcome.model.read_bytes()).hexdigest(),
            "precision": precision,
            "slower_int8": None if outcome.slower is None else str(outcome.slower),
        },
        "source": _source(outcome.source),
        "engine": outcome.engine,
        "accuracy": accuracy,
        "artifacts": [
            own_entry(
                outcome.model,
                runtime=outcome.runtime,
                precision=precision,
                source=outcome.source,
                score=_own_score(outcome, accuracy),
                decisions=outcome.decisions,
                latency=_latency(outcome.latency),
            ),
            *(artifact.to_dict() for artifact in outcome.artifacts),
        ],
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
    models: Mapping[str, Path],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    sample: dict[str, Array] | None,
    seconds: float,
    precision: float,
    folder: Path,
    progress: Callable[[int, int | None], None],
    runtimes: Mapping[str, str] | None = None,
) -> Latency:
    """Time fp32, int8 and perhaps others in turns in a fresh process, at batch 1.

    Args:
        models: Their files by name, that of ``fp32`` first.
        inputs: Input names.
        outputs: Output names; found when empty.
        sample: A calibration batch, whose first sample is the input; noise if None.
        seconds: Time for the rounds.
        precision: Width of the speed-ups' intervals, as a fraction, at which less time is enough.
        folder: Made to hand over the input, and removed.
        progress: Told (done, total).
        runtimes: Runtime by the name of a model, where it shall have a process of its own.

    Raises:
        LpotError: If the models cannot be run, or the input cannot be handed over.
    """
    from lpot_examples.benchmark.runner import compare

    try:
        input_file = None if sample is None else _hand_over(sample, folder)
        return compare(
            models,
            seconds=seconds,
            precision=precision,
            inputs=inputs,
            outputs=outputs,
            input_file=input_file,
            progress=progress,
            runtimes=runtimes,
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


def _source(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _own_score(outcome: Outcome, accuracy: Mapping[str, Any]) -> Score | None:
    best = outcome.best
    if best is None or best.score is None or best.loss is None:
        return None
    return Score(
        metric=accuracy["metric"],
        fp32=accuracy["fp32"],
        score=accuracy["int8"],
        loss=best.loss,
        allowance=best.allowance,
        met=best.met,
        loss_relative=accuracy["drop_relative"],
        scores=dict(best.scores),
        interval=best.interval,
    )


def _search(outcome: Outcome) -> dict[str, Any]:
    return {
        "strategy": outcome.strategy,
        "strategy_requested": outcome.spec.tuning.strategy.name,
        "objective": objective_section(Objective.of(outcome.spec)),
        "complete": outcome.complete,
        "sessions": outcome.sessions,
        "shipped": None if outcome.best is None else outcome.best.index,
        "trials": len(outcome.trials),
        "full_evaluations": full_evaluations(
            outcome.trials, baseline=outcome.baseline, repeatability=outcome.repeatability
        ),
        "seconds": outcome.seconds,
        "runner_up": None if outcome.rival is None else outcome.rival.to_dict(),
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
