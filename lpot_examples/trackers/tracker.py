"""What trackers have in common: the figures of a trial, and that none of them can end a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.events import Listener
from lpot_examples.search.trial import Trial


class Tracker(Listener):
    """Base of trackers; subclasses write `record` and what else they need.

    Args:
        groups: How many fusion groups can be int8.
    """

    name = "tracker"

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Record figures of a step: 0 is the fp32 network, then the trials.

        Args:
            step: The trial's index.
            figures: Value by name.
        """
        raise NotImplementedError

    def baseline(self, result: EvaluationResult, *, again: bool) -> None:
        """Record the fp32 score."""
        self.record(0, {"accuracy": result.score, "loss": 0.0, "int8_groups": 0.0})

    def trial(self, trial: Trial, *, again: bool) -> None:
        """Record a trial; those of earlier sessions too, so that each record is whole."""
        self.record(trial.index, figures_of(trial, self.groups))


def figures_of(trial: Trial, groups: int) -> dict[str, float]:
    """Return the figures of a trial by name; those that are not known are left out.

    Args:
        trial: The trial.
        groups: How many fusion groups can be int8.
    """
    known = {
        "accuracy": trial.score,
        "loss": None if trial.score is None else trial.loss,
        "allowance": trial.allowance,
        "met": float(trial.met),
        "int8_groups": float(groups - len(trial.config.fp32)),
        "fp32_groups": float(len(trial.config.fp32)),
        "seconds": trial.seconds,
        "latency_ms": trial.costs.get("performance"),
    }
    return {name: value for name, value in known.items() if value is not None}


def final_figures(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of a finished run by name; those that are not known are left out."""
    latency, sizes = report["latency_ms"], report["size_bytes"]
    known = {
        "final/accuracy": report["accuracy"]["int8"],
        "final/loss": report["accuracy"]["drop_absolute"],
        "final/speedup": latency["speedup"],
        "final/latency_int8_ms": (latency["int8"] or {}).get("p50"),
        "final/latency_fp32_ms": (latency["fp32"] or {}).get("p50"),
        "final/size_int8_bytes": sizes["int8"],
        "final/size_fp32_bytes": sizes["fp32"],
        "final/full_evaluations": report["search"]["full_evaluations"],
    }
    return {name: float(value) for name, value in known.items() if value is not None}


class Guarded(Listener):
    """Passes events on to a tracker until it fails, then tells the user once and goes on without.

    A server that cannot be reached must not cost a run of hours.

    Args:
        tracker: The tracker.
        listener: Told of the failure.
    """

    def __init__(self, tracker: Tracker, listener: Listener) -> None:
        self._tracker = tracker
        self._listener = listener
        self._failed = False

    def baseline(self, result: EvaluationResult, *, again: bool) -> None:
        """Pass on."""
        self._try(lambda: self._tracker.baseline(result, again=again))

    def trial(self, trial: Trial, *, again: bool) -> None:
        """Pass on."""
        self._try(lambda: self._tracker.trial(trial, again=again))

    def finished(self, report: Mapping[str, Any], model: Path, files: Sequence[Path]) -> None:
        """Pass on."""
        self._try(lambda: self._tracker.finished(report, model, files))

    def ended(self) -> None:
        """Pass on."""
        self._try(self._tracker.ended)

    def _try(self, action: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            action()
        except Exception as error:
            self._failed = True
            self._listener.warning(
                f"{self._tracker.name} records nothing more of this run: {error}. The run goes on; "
                "its report is not affected."
            )
