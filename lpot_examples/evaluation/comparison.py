"""Compares candidates with the fp32 model: how sure a drop is, who is raced, what is suspicious."""

from __future__ import annotations

from typing import Any

import numpy as np

from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.evidence import Evidence, gather
from lpot_examples.evaluation.interval import certainty, drop_interval
from lpot_examples.evaluation.racing import Race, can_race
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.evaluation.subset_racing import SubsetRace

# Fewer samples with equal scores are no surprise.
_FEW = 10


class Comparison:
    """The fp32 model's evaluation, to compare others with.

    Args:
        baseline: The fp32 model's score.
        evidence: Its parts; None if the evaluation gave one number.
        criterion: The bar.
        spread: How far repeated evaluations of one model were apart, metric's unit; 0 if they were
            equal or nothing is known.
    """

    def __init__(
        self,
        baseline: EvaluationResult,
        evidence: Evidence | None,
        criterion: Criterion,
        *,
        spread: float = 0.0,
    ) -> None:
        self._baseline = baseline
        self._evidence = evidence
        self._criterion = criterion
        self.spread = spread

    @property
    def detailed(self) -> bool:
        """Whether more than one number is known of the fp32 model."""
        return self._evidence is not None

    def race(self, digest: str) -> Race | SubsetRace | None:
        """Return a race for a configuration's evaluation; None if there can be none.

        Args:
            digest: The configuration's digest, in hexadecimal; it decides the order of samples, so
                that a resumed run makes the same race again.
        """
        if self._evidence is not None and self._evidence.subsets is not None:
            return SubsetRace(self._evidence.subsets, self._evidence.samples, self._criterion)
        if self._evidence is None or can_race(self._evidence):
            return None
        return Race(self._evidence, self._criterion, seed=int(digest[:8], 16))

    def judge(self, result: EvaluationResult) -> dict[str, Any] | None:
        """Return how sure a candidate's drop is and what that says of the bar, as JSON values.

        Returns:
            ``low`` and ``high`` of the loss in the metric's unit, ``relative`` ends or None,
            ``level``, ``method``, ``samples``, ``spread``; ``verdict``, ``text`` and
            ``samples_needed`` as in `interval.Certainty`. None where the evaluations give one
            number each.
        """
        scores = self._baseline.score, result.score
        found = drop_interval(
            self._evidence, gather(result), self._criterion, scores=scores, spread=self.spread
        )
        if found is None:
            return None
        verdict = certainty(found, self._criterion, scores=scores)
        ends = None
        if found.relative is not None:
            ends = {"low": found.relative[0], "high": found.relative[1]}
        return {
            "low": found.absolute[0],
            "high": found.absolute[1],
            "relative": ends,
            "level": found.level,
            "method": found.method,
            "samples": found.samples,
            "spread": found.spread,
            "verdict": verdict.verdict,
            "text": verdict.text,
            "samples_needed": verdict.samples_needed,
        }

    def suspicion(self, score: float) -> str:
        """Tell what is suspicious about a candidate's score; empty if nothing is.

        A number that is the same for fp32 and int8 to its last digit may be that of another model
        than the one given. Where per-sample scores are known, they say so better.
        """
        if self._evidence is not None or score != self._baseline.score:
            return ""
        return (
            f"the candidate scores exactly as the fp32 model does ({score:g}). If that is a "
            "surprise, check that eval_func scores the model that it is given: a metric that "
            "never changes accepts any model."
        )

    def remarks(self) -> list[str]:
        """Return what the user should know of the metric and the bar before the search."""
        return [text for text in (self._ignored(), self._constant(), self._fineness()) if text]

    def _ignored(self) -> str:
        values = self._baseline.per_sample
        if values is None or (self._evidence is not None and self._evidence.per_sample is not None):
            return ""
        broken = int(np.count_nonzero(~np.isfinite(values)))
        why = f"their mean is {float(np.mean(values)):g}" if len(values) > 1 else "there is one"
        if broken:
            why = f"{broken} of {len(values)} are not finite"
        return (
            f"the per-sample scores are not used: {why}, and the score is "
            f"{self._baseline.score:g}. Return one finite number per sample, whose mean is the "
            "score."
        )

    def _constant(self) -> str:
        values = self._baseline.per_sample
        if values is None or len(values) < _FEW or np.ptp(values) > 0:
            return ""
        return (
            f"every one of the {len(values)} samples scores {values[0]:g} with the fp32 model. "
            "Unless it really is as good or as bad as that, check eval_func: a metric that never "
            "changes accepts any model."
        )

    def _fineness(self) -> str:
        """Tell that a bar is 0, or finer than one sample."""
        allowed = self._criterion.allowance(self._baseline.score)
        if allowed <= 0:
            return (
                "the bar allows no loss at all: only a model that scores at least as well as fp32 "
                "meets it, and no number of samples can show that none will ever be lost."
            )
        if self._evidence is None or not self._evidence.binary:
            return ""
        worth = allowed * self._evidence.samples
        if worth >= 1 - 1e-9:
            return ""
        return (
            f"the bar allows {worth:.2g} of one of the {self._evidence.samples} samples, so on "
            "this validation set it is the same as allowing no loss at all."
        )
