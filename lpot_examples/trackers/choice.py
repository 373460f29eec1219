"""Which trackers a run has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lpot_examples.events import Listener, Listeners
from lpot_examples.spec import Spec
from lpot_examples.trackers.mlflow import MlflowTracker
from lpot_examples.trackers.tensorboard import TensorBoardTracker, Weights
from lpot_examples.trackers.tracker import Guarded, Tracker


def with_trackers(
    listener: Listener,
    spec: Spec,
    *,
    mlflow: bool,
    folder: Path,
    groups: int,
    source: Path | None,
    weights: Weights | None,
) -> Listener:
    """Return a listener that tells the trackers as well as the one given.

    Args:
        listener: The run's listener.
        spec: The tuning spec; ``tuning.tensorboard`` asks for TensorBoard.
        mlflow: Whether to record in MLflow.
        folder: The run's workspace.
        groups: How many fusion groups can be int8.
        source: The fp32 model's file, or None.
        weights: Reads a model's weights, or None.

    Raises:
        LpotError: If MLflow is not installed, or cannot record.
    """
    trackers: list[Tracker] = []
    if spec.tuning.tensorboard:
        logs = folder / "tensorboard"
        trackers.append(TensorBoardTracker(logs, groups, source=source, weights=weights))
        listener.note(f"to watch the trials: tensorboard --logdir={logs}")
    if mlflow:
        parameters = _parameters(spec, groups=groups, source=source)
        trackers.append(MlflowTracker(spec.model.name, groups, parameters=parameters))
    if not trackers:
        return listener
    return Listeners(listener, *(Guarded(tracker, listener) for tracker in trackers))


def _parameters(spec: Spec, *, groups: int, source: Path | None) -> dict[str, Any]:
    tuning = spec.tuning
    return {
        "model": spec.model.name,
        "fp32_model": source or "",
        "strategy": tuning.strategy.name,
        "relative_loss_allowed": tuning.accuracy_criterion.relative,
        "absolute_loss_allowed": tuning.accuracy_criterion.absolute,
        "timeout": tuning.exit_policy.timeout,
        "max_trials": tuning.exit_policy.max_trials,
        "seed": tuning.random_seed,
        "groups": groups,
        "spec": spec.fingerprint(),
    }
