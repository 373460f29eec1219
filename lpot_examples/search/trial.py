"""One configuration and what its full evaluation gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lpot_examples.graph import TuningConfig

# Stands for an allowance of nothing.
_TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A finished trial.

    Attributes:
        index: 1 for the first.
        config: What was evaluated.
        score: The metric's value, or None if the evaluation failed. Of several metrics, the
            first.
        loss: Loss against the fp32 score in the metric's unit (negative for a gain), or None. Of
            several metrics the weighted sum, or that of the metric that lost most of what it may;
            see `evaluation.bars`.
        allowance: The greatest loss that the bar allows; of the same metric as ``loss``.
        met: Whether the bar was cleared.
        seconds: Wall time of emission and evaluation.
        evaluated: Share of the validation set that was evaluated, 1.0 for all of it.
        error: Why the evaluation failed, or an empty string.
        scores: Every metric's value by name, where there are several.
        costs: What was measured beside accuracy, by the name of the objective: ``performance`` in
            milliseconds a call, ``modelsize`` and ``footprint`` in bytes.
        interval: How sure the loss is; see `evaluation.comparison.Comparison.judge`. None if it is
            not known, or the trial was not among the best.
        stopped_early: Why the evaluation was given up, as the fields of `evaluation.racing.Stop`;
            the trial then has no score, misses the bar, and its loss is an estimate. None if it
            was not.
    """

    index: int
    config: TuningConfig
    score: float | None
    loss: float | None
    allowance: float
    met: bool
    seconds: float
    evaluated: float = 1.0
    error: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    interval: Mapping[str, Any] | None = None
    stopped_early: Mapping[str, Any] | None = None

    def excess(self) -> float:
        """Return the loss in units of the allowance: at most 1 for a trial that meets the bar.

        Very large where nothing may be lost, yet smaller for a smaller loss; infinite for a trial
        that failed.
        """
        if self.loss is None:
            return float("inf")
        return self.loss / max(self.allowance, _TINY)

    def failure(self) -> str:
        """Return in words why there is no score; empty if there is one."""
        if stop := self.stopped_early:
            return (
                f"stopped after {stop['samples']} of {stop['of']} samples: it loses at least "
                f"{stop['bound']:.4f}, {stop['allowance']:.4f} is allowed"
            )
        return f"failed: {self.error}" if self.error else ""

    def shortfall(self) -> str:
        """Return in words how far from the bar a scored trial is; empty if it meets it."""
        if self.met or self.loss is None:
            return ""
        lost = f"the accuracy bar is NOT met: the best model loses {self.loss:.4g}"
        if self.allowance <= 0:
            return f"{lost}, and nothing may be lost"
        return f"{lost}, {self.excess():.3g} times the {self.allowance:.4g} that may be lost"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {**asdict(self), "config": self.config.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Trial:
        """Undo `to_dict`."""
        return cls(**{**data, "config": TuningConfig.from_dict(data["config"])})
