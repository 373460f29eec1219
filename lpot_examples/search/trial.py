"""One configuration and what its full evaluation gave."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
        score: The metric's value, or None if the evaluation failed.
        loss: Loss against the fp32 score in the metric's unit (negative for a gain), or None.
        allowance: The greatest loss that the bar allows.
        met: Whether the bar was cleared.
        seconds: Wall time of emission and evaluation.
        evaluated: Share of the validation set that was evaluated, 1.0 for all of it.
        error: Why the evaluation failed, or an empty string.
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

    def excess(self) -> float:
        """Return the loss in units of the allowance: at most 1 for a trial that meets the bar.

        Very large where nothing may be lost, yet smaller for a smaller loss; infinite for a trial
        that failed.
        """
        if self.loss is None:
            return float("inf")
        return self.loss / max(self.allowance, _TINY)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {**asdict(self), "config": self.config.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Trial:
        """Undo `to_dict`."""
        return cls(**{**data, "config": TuningConfig.from_dict(data["config"])})
