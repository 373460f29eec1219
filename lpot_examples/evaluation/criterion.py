"""The accuracy bar."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """How much of the fp32 score may be lost.

    Attributes:
        relative: Greatest loss as a fraction of the fp32 score, or None.
        absolute: Greatest loss in the metric's unit, or None. One of the two is given.
        higher_is_better: Whether a greater score is a better one.
    """

    relative: float | None = 0.01
    absolute: float | None = None
    higher_is_better: bool = True

    def loss(self, baseline: float, score: float) -> float:
        """Return the loss in the metric's unit; negative for a gain."""
        return baseline - score if self.higher_is_better else score - baseline

    def relative_loss(self, baseline: float, score: float) -> float:
        """Return the loss as a fraction of the baseline; infinite for a loss from zero."""
        loss = self.loss(baseline, score)
        if baseline == 0:
            return 0.0 if loss == 0 else float("inf") * (1 if loss > 0 else -1)
        return loss / abs(baseline)

    def allowance(self, baseline: float) -> float:
        """Return the greatest loss allowed, in the metric's unit."""
        if self.absolute is not None:
            return self.absolute
        return (self.relative or 0.0) * abs(baseline)

    def met(self, baseline: float, score: float) -> bool:
        """Tell whether a score clears the bar.

        A slack of 1e-9 of the scores absorbs the rounding of the subtraction, no more.
        """
        slack = 1e-9 * max(abs(baseline), abs(score))
        return self.loss(baseline, score) <= self.allowance(baseline) + slack

    def describe(self) -> str:
        """Return the bar in words."""
        if self.absolute is not None:
            return f"at most {self.absolute:g} lost"
        return f"at most {100 * (self.relative or 0.0):g} % relative loss"
