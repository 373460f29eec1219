"""How sure the drop of accuracy is: its confidence interval, and what that says of the bar.

The evaluated samples are taken as drawn at random from what the model will meet; the interval
covers the drop on all of that. Both models saw the same samples, so they are compared sample by
sample. What the bar itself decides is the drop on the evaluated samples (see `criterion`).

==========================  ================================================================
per sample                  interval
==========================  ================================================================
right or wrong (top-k)      Tango's (1998) score interval of the difference, Nam and
                            Blackwelder's (2002) of the ratio: `matched`
any number that averages    paired BCa bootstrap (Efron and Tibshirani 1993): `bootstrap`
``resample`` (mAP)          the same, over images
==========================  ================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lpot_examples.evaluation.bootstrap import Floats, Replicates, bca, replicate
from lpot_examples.evaluation.criterion import Criterion
from lpot_examples.evaluation.evidence import Evidence
from lpot_examples.evaluation.matched import Matched, difference, ratio

LEVEL = 0.95
_MOST_NEEDED = 1e8

Ends = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class DropInterval:
    """The interval of the loss against fp32; negative ends are gains.

    Attributes:
        level: The coverage aimed at, such as 0.95.
        method: How it was found, in words.
        samples: How many samples both models were compared on.
        absolute: Its ends in the metric's unit.
        relative: Its ends as fractions of the fp32 score; None where that may be 0.
        spread: How far repeated evaluations of the same model were apart, metric's unit; the ends
            were moved out by twice as much.
    """

    level: float
    method: str
    samples: int
    absolute: Ends
    relative: Ends | None
    spread: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DropInterval:
        """Undo `to_dict`."""
        ends = {
            key: None if data[key] is None else (float(data[key][0]), float(data[key][1]))
            for key in ("absolute", "relative")
        }
        return cls(**{**data, **ends})


def drop_interval(
    baseline: Evidence | None,
    candidate: Evidence | None,
    criterion: Criterion,
    *,
    scores: tuple[float, float],
    spread: float = 0.0,
    level: float = LEVEL,
) -> DropInterval | None:
    """Return the interval of a candidate's drop.

    Args:
        baseline: What is known of the fp32 model, sample by sample.
        candidate: What is known of the candidate; the same samples in the same order.
        criterion: Tells a loss from a gain.
        scores: The two models' scores, fp32 first.
        spread: How far repeated evaluations of one model were apart.
        level: The coverage wanted, in (0, 1).

    Returns:
        None where the two cannot be compared sample by sample.
    """
    if baseline is None or candidate is None or baseline.samples != candidate.samples:
        return None
    if baseline.binary and candidate.binary:
        method, absolute, relative = _of_answers(baseline, candidate, criterion, level)
    else:
        kept = _replicates(baseline), _replicates(candidate)
        if kept[0] is None or kept[1] is None:
            return None
        method = "paired BCa bootstrap"
        absolute, relative = _of_replicates(
            kept[0], kept[1], criterion, scores=scores, samples=baseline.samples, level=level
        )
    share = abs(scores[0])
    return DropInterval(
        level=level,
        method=method,
        samples=baseline.samples,
        absolute=_widened(absolute, 2 * spread),
        relative=None if relative is None else _widened(relative, 2 * spread / share),
        spread=spread,
    )


def _of_answers(
    baseline: Evidence, candidate: Evidence, criterion: Criterion, level: float
) -> tuple[str, Ends, Ends | None]:
    assert baseline.per_sample is not None
    assert candidate.per_sample is not None
    table = Matched.of(baseline.per_sample, candidate.per_sample)
    low, high = difference(table, level=level)
    shares = ratio(table, level=level)
    if criterion.higher_is_better:
        kept = None if shares is None else (1 - shares[1], 1 - shares[0])
        return "paired score interval", (low, high), kept
    kept = None if shares is None else (shares[0] - 1, shares[1] - 1)
    return "paired score interval", (-high, -low), kept


def _replicates(evidence: Evidence) -> Replicates | None:
    values = evidence.per_sample
    if values is None:
        return evidence.replicates
    return replicate(lambda indices: float(values[indices].mean()), len(values))


def _of_replicates(
    baseline: Replicates,
    candidate: Replicates,
    criterion: Criterion,
    *,
    scores: tuple[float, float],
    samples: int,
    level: float,
) -> tuple[Ends, Ends | None]:
    pairs = (baseline.scores, candidate.scores), (baseline.left_out, candidate.left_out)
    losses = [_losses(criterion, *pair) for pair in pairs]
    absolute = bca(criterion.loss(*scores), losses[0], losses[1], level=level)
    if absolute is None:
        # No draw tells the models apart. As many as this share of all samples could do so and
        # none be among these (the "rule of three" for 95 %); each by the whole score at most.
        unseen = abs(scores[0]) * (1 - ((1 - level) / 2) ** (1 / samples))
        absolute = _widened((criterion.loss(*scores),) * 2, float(unseen))
        return absolute, _scaled(absolute, scores[0])
    if min(abs(scores[0]), np.abs(pairs[0][0]).min(), np.abs(pairs[1][0]).min()) < 1e-9:
        return absolute, None
    shares = [loss / np.abs(pair[0]) for loss, pair in zip(losses, pairs, strict=True)]
    return absolute, bca(criterion.relative_loss(*scores), shares[0], shares[1], level=level)


def _losses(criterion: Criterion, baseline: Floats, candidate: Floats) -> Floats:
    return baseline - candidate if criterion.higher_is_better else candidate - baseline


def _scaled(ends: Ends, score: float) -> Ends | None:
    return (ends[0] / abs(score), ends[1] / abs(score)) if score else None


def _widened(ends: Ends, by: float) -> Ends:
    return (ends[0] - by, ends[1] + by)


@dataclass(frozen=True, kw_only=True)
class Certainty:
    """What the evaluated samples say of the bar.

    Attributes:
        verdict: ``supported``: the whole interval is within the bar. ``refuted``: all of it is
            beyond. ``undecided``: the samples are too few to tell.
        text: One sentence.
        samples_needed: Of an undecided one, an estimate of how many samples would decide, if the
            true loss is the one found (a gain counts as no loss); None beyond a hundred million.
    """

    verdict: str
    text: str
    samples_needed: int | None = None


def certainty(
    interval: DropInterval, criterion: Criterion, *, scores: tuple[float, float]
) -> Certainty:
    """Judge a bar by an interval.

    Args:
        interval: Of the drop.
        criterion: The bar.
        scores: The scores, fp32 first.
    """
    relative = criterion.absolute is None and interval.relative is not None
    if relative:
        assert interval.relative is not None
        (low, high), allowed = interval.relative, criterion.relative or 0.0
    else:
        (low, high), allowed = interval.absolute, criterion.allowance(scores[0])
    sure = f"{100 * interval.level:g} %"
    between = f"between {_amount(low, relative)} and {_amount(high, relative)}"
    bar = _amount(allowed, relative)
    if high <= allowed:
        text = f"supported at {sure}: the loss is {between}, and {bar} is allowed"
        return Certainty(verdict="supported", text=_with_spread(text, interval))
    if low > allowed:
        text = f"refuted at {sure}: the loss is {between}, and only {bar} is allowed"
        return Certainty(verdict="refuted", text=_with_spread(text, interval))
    lost = (criterion.relative_loss if relative else criterion.loss)(*scores)
    needed = _needed(interval.samples, max(lost, min(0.0, allowed)), (low, lost, high), allowed)
    text = (
        f"the validation set is too small to be sure: {interval.samples} samples cannot tell a "
        f"loss of {_amount(low, relative)} from one of {_amount(high, relative)} ({sure}), and "
        f"{bar} is allowed"
    )
    if needed is not None:
        text += f"; about {needed} samples would be needed (an estimate)"
    return Certainty(verdict="undecided", text=_with_spread(text, interval), samples_needed=needed)


def _needed(
    samples: int, truth: float, found: tuple[float, float, float], allowed: float
) -> int | None:
    """Estimate how many samples would tell on which side of the bar the loss is.

    An interval shrinks with the square root of the samples. The one found, as low end, loss and
    high end, must no longer reach from the presumed true loss to the bar.
    """
    low, lost, high = found
    side = high - lost if truth < allowed else lost - low
    gap = abs(allowed - truth)
    needed = samples * (side / gap) ** 2 if gap else math.inf
    if needed > _MOST_NEEDED:
        return None
    return max(_rounded(needed), _rounded(samples + 1))


def _amount(value: float, relative: bool) -> str:
    return f"{100 * value:+.2g} %" if relative else f"{value:+.2g}"


def _with_spread(text: str, interval: DropInterval) -> str:
    if not interval.spread:
        return text
    return (
        f"{text}. The evaluation itself is not deterministic (it varied by "
        f"{interval.spread:.2g}), so the interval was widened"
    )


def _rounded(number: float) -> int:
    """Round up to two digits: an estimate."""
    scale: int = 10 ** max(0, math.floor(math.log10(max(number, 1))) - 1)
    return int(math.ceil(number / scale)) * scale
