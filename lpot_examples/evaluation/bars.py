"""The bar of one metric or of several: what a trial lost, of what it may lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.result import EvaluationResult


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a bar says of a score.

    Attributes:
        score: The metric's value; of several, the first one.
        loss: What was lost against fp32, in the metric's unit; negative for a gain.
        allowance: The greatest loss allowed.
        met: Whether the bar is met.
        scores: Every metric's value by name, where there are several.
    """

    score: float
    loss: float
    allowance: float
    met: bool
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bars:
    """One criterion for each metric.

    Without weights every metric must meet its own, and the verdict is that of the metric that lost
    most of what it may. With weights the weighted loss must be within the weighted allowance.

    Attributes:
        criterion: The bar of a metric that has none of its own.
        names: The metrics' names, in the order of an evaluation that returns a list; empty for
            whatever the evaluation returns.
        own: One criterion for each name, or empty.
        weights: One weight for each metric, or empty.
    """

    criterion: Criterion
    names: tuple[str, ...] = ()
    own: tuple[Criterion, ...] = ()
    weights: tuple[float, ...] = ()

    def judge(self, baseline: EvaluationResult, result: EvaluationResult) -> Verdict:
        """Return the verdict on a result.

        Raises:
            EvaluationError: If the metrics are not those of the spec, or of the fp32 model.
        """
        before, after = self.named(baseline), self.named(result)
        if list(before) != list(after):
            raise EvaluationError(
                f"eval_func returned the metrics {_listed(after)} here and {_listed(before)} for "
                "the fp32 model; it must return the same ones each time."
            )
        if not after:
            return _single(self.criterion, baseline.score, result.score)
        each = [
            _single(criterion, before[name], after[name])
            for name, criterion in zip(after, self.criteria(after), strict=True)
        ]
        combined = _weighted(each, self.weights) if self.weights else _worst(each)
        return Verdict(
            score=result.score,
            loss=combined.loss,
            allowance=combined.allowance,
            met=combined.met,
            scores=after,
        )

    def named(self, result: EvaluationResult) -> dict[str, float]:
        """Return a result's metrics by the names of the spec; empty for a single score.

        Raises:
            EvaluationError: If they are not those of the spec.
        """
        found = dict(result.scores)
        if not self.names or (len(self.names) == 1 and not found):
            return found
        if set(found) == set(self.names):
            return {name: found[name] for name in self.names}
        unnamed = all(name.startswith(UNNAMED) for name in found)
        if len(found) != len(self.names) or not unnamed:
            raise EvaluationError(
                f"multi_metrics names {_listed(self.names)}; eval_func returned "
                f"{_listed(found) or 'one number'}. Return a list or a dict with one score for "
                "each of them."
            )
        return dict(zip(self.names, found.values(), strict=True))

    def criteria(self, metrics: Mapping[str, float]) -> tuple[Criterion, ...]:
        """Return the bar of each metric, as `named` returned them; of a single score the one."""
        return self.own if metrics and self.own else (self.criterion,) * max(len(metrics), 1)

    def describe(self) -> str:
        """Return the bars in words."""
        if not self.own:
            return self.criterion.describe()
        pairs = zip(self.names, self.own, strict=True)
        text = "; ".join(f"{name}: {criterion.describe()}" for name, criterion in pairs)
        return f"weighted: {text}" if self.weights else text


UNNAMED = "metric "
"""What the name of a metric begins with that the evaluation gave no name."""


def _single(criterion: Criterion, before: float, after: float) -> Verdict:
    return Verdict(
        score=after,
        loss=criterion.loss(before, after),
        allowance=criterion.allowance(before),
        met=criterion.met(before, after),
    )


def _worst(each: Sequence[Verdict]) -> Verdict:
    """Return the verdict on the metric that lost most of what it may; one that misses, if any."""
    return max(each, key=lambda one: (not one.met, one.loss / max(one.allowance, 1e-12)))


def _weighted(each: Sequence[Verdict], weights: Sequence[float]) -> Verdict:
    pairs = list(zip(weights, each, strict=True))
    loss = sum(weight * one.loss for weight, one in pairs)
    allowance = sum(weight * one.allowance for weight, one in pairs)
    # The slack of `Criterion.met`, for the rounding of the subtractions.
    slack = 1e-9 * sum(weight * abs(one.score) for weight, one in pairs)
    met = loss <= allowance + slack
    return Verdict(score=each[0].score, loss=loss, allowance=allowance, met=met)


def _listed(names: Mapping[str, float] | Sequence[str]) -> str:
    return ", ".join(names)
