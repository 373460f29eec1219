"""Sections that the report of a finished run and that of an unfinished one share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lpot_examples.evaluation.bars import Bars
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.repeat import Repeatability
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.search.objective import Objective
from lpot_examples.search.trial import Trial


def accuracy_section(
    bars: Bars,
    *,
    baseline: EvaluationResult | None,
    best: Trial | None,
    repeatability: Repeatability | None,
) -> dict[str, Any]:
    """Return what is known of accuracy, as JSON values.

    Of several metrics the figures outside of ``metrics`` are those of the first one, but for
    ``met``, which is the verdict on all, and the criterion's ``text``, which describes all bars.

    Args:
        bars: What may be lost.
        baseline: The fp32 score, or None if accuracy was not checked (yet).
        best: The trial that is, or would be, shipped; None if none has a score.
        repeatability: What evaluating a model again showed, or None if none was.

    Raises:
        EvaluationError: If the metrics are not those that the bars are of.
    """
    metrics = _metrics(bars, baseline, best)
    first = metrics[0] if metrics else None
    scored = best is not None and best.score is not None
    interval = best.interval if best is not None and scored else None
    several = len(metrics) > 1
    criterion = criterion_section(bars.criterion) if first is None else first["criterion"]
    certainty = interval["text"] if interval else None
    if best is not None and scored and not interval:
        certainty = _uncertainty(best, repeatability, several=several)
    return {
        "checked": first is not None and scored,
        "metric": first and first["name"],
        "samples": None if baseline is None else baseline.samples,
        "fp32": first and first["fp32"],
        "int8": first and first["int8"],
        "drop_relative": first and first["loss_relative"],
        "drop_absolute": first and first["loss"],
        "criterion": {**criterion, "text": bars.describe()} if len(metrics) != 1 else criterion,
        "met": best.met if best is not None and scored else None,
        "metrics": metrics,
        "weighted": {"loss": best.loss, "allowance": best.allowance}
        if best is not None and scored and several and bars.weights
        else None,
        "interval": interval,
        "certainty": certainty,
        "repeatability": repeatability and {**repeatability.to_dict(), "text": repeatability.text},
    }


def criterion_section(criterion: Criterion) -> dict[str, Any]:
    """Return the bar of one metric, as JSON values."""
    return {
        "relative": criterion.relative,
        "absolute": criterion.absolute,
        "higher_is_better": criterion.higher_is_better,
        "text": criterion.describe(),
    }


def objective_section(objective: Objective) -> dict[str, Any]:
    """Return what the search made small, as JSON values; ``weights`` is empty for equal ones."""
    text = ", ".join(objective.names)
    if objective.weights:
        pairs = zip(objective.weights, objective.names, strict=True)
        text = " + ".join(f"{weight:g} × {name}" for weight, name in pairs)
    elif len(objective.names) > 1:
        text += ", weighted equally"
    return {"names": list(objective.names), "weights": list(objective.weights), "text": text}


def full_evaluations(
    trials: Iterable[Trial],
    *,
    baseline: EvaluationResult | None,
    repeatability: Repeatability | None,
) -> float:
    """Return how often the whole validation set was evaluated, parts of it counted as such."""
    count = sum(trial.evaluated for trial in trials) + (baseline is not None)
    # A few samples evaluated again are no evaluation.
    return count + (repeatability is not None and repeatability.evaluated == 1)


def _metrics(
    bars: Bars, baseline: EvaluationResult | None, best: Trial | None
) -> list[dict[str, Any]]:
    """Return each metric with its own bar; nothing if there is no score of fp32."""
    if baseline is None:
        return []
    named = bars.named(baseline)
    before = named or {baseline.metric: baseline.score}
    after: dict[str, float] = {}
    if best is not None and best.score is not None:
        after = dict(best.scores) or {name: best.score for name in before}
    weights = bars.weights if bars.weights and named else (None,) * len(before)
    return [
        _metric(name, criterion, fp32=fp32, int8=after.get(name), weight=weight)
        for (name, fp32), criterion, weight in zip(
            before.items(), bars.criteria(named), weights, strict=True
        )
    ]


def _metric(
    name: str, criterion: Criterion, *, fp32: float, int8: float | None, weight: float | None
) -> dict[str, Any]:
    loss = None if int8 is None else criterion.loss(fp32, int8)
    # Of a score of 0 no fraction can be lost.
    relative = None if int8 is None or not fp32 else criterion.relative_loss(fp32, int8)
    return {
        "name": name,
        "fp32": fp32,
        "int8": int8,
        "loss": loss,
        "loss_relative": relative,
        "allowance": criterion.allowance(fp32),
        "criterion": criterion_section(criterion),
        "weight": weight,
        "met": None if int8 is None else criterion.met(fp32, int8),
    }


def _uncertainty(best: Trial, repeated: Repeatability | None, *, several: bool) -> str:
    """Tell what is known of the bar where there is no interval."""
    if several:
        return "how sure the losses are is not known: intervals are for a single metric"
    if best.loss is not None and repeated is not None and repeated.spread:
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
