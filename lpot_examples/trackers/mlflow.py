"""Trials as an MLflow run: parameters, metrics by trial, the report and the model as artifacts.

MLflow is an optional extra. Where it records is MLflow's own business: ``MLFLOW_TRACKING_URI`` and
``MLFLOW_EXPERIMENT_NAME``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lpot_examples.errors import LpotError
from lpot_examples.trackers.tracker import Tracker, final_figures

# What MLflow's servers accept as a parameter's value.
_LONGEST = 500


class MlflowTracker(Tracker):
    """Writes one MLflow run; see `Tracker`.

    The client is used rather than ``mlflow.start_run``: a run that the caller has open stays the
    active one, and nothing is printed.

    Args:
        run: Name of the run.
        groups: How many fusion groups can be int8.
        parameters: What was tuned and how, by name.

    Raises:
        LpotError: If MLflow is not installed, or cannot record.
    """

    name = "MLflow"

    def __init__(self, run: str, groups: int, *, parameters: Mapping[str, Any]) -> None:
        super().__init__(groups)
        mlflow = _import()
        try:
            self._client = mlflow.MlflowClient()
            self._run = self._start(run)
            for name, value in parameters.items():
                self._client.log_param(self._run, name, str(value)[:_LONGEST])
        except Exception as error:  # MLflow's, and those of the many ways to store
            raise LpotError(
                f"MLflow cannot record to {mlflow.get_tracking_uri()}: {error} Set "
                "MLFLOW_TRACKING_URI, or leave --mlflow out."
            ) from error
        self._state = "FAILED"

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Log metrics."""
        for name, value in figures.items():
            self._client.log_metric(self._run, name, value, step=step)

    def finished(self, report: Mapping[str, Any], model: Path, files: Sequence[Path]) -> None:
        """Log the final figures, the report and the model."""
        for name, value in final_figures(report).items():
            self._client.log_metric(self._run, name, value)
        self._client.set_tag(self._run, "accuracy_bar_met", str(report["accuracy"]["met"]))
        for path in (*files, model):
            self._client.log_artifact(self._run, str(path))
        self._state = "FINISHED"

    def ended(self) -> None:
        """End the MLflow run: finished, or failed where the tuning run did not finish."""
        self._client.set_terminated(self._run, status=self._state)

    def _start(self, name: str) -> str:
        wanted = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "lpot_examples"
        known = self._client.get_experiment_by_name(wanted)
        experiment = known.experiment_id if known else self._client.create_experiment(wanted)
        run = self._client.create_run(experiment, run_name=name)
        identifier: str = run.info.run_id
        return identifier


def _import() -> Any:
    try:
        import mlflow
    except ImportError as error:
        raise LpotError(
            "--mlflow needs MLflow, which is not installed: pip install 'lpot-examples[mlflow]'."
        ) from error
    return mlflow
