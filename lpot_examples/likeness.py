"""How a further form of a result differs from it: in groups, in outputs, in scores of samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from lpot_examples.backends.base import Backend, OpDecision, Transferred
from lpot_examples.calibration.feed import Array
from lpot_examples.probe import relative_error
from lpot_examples.report.artifacts import Difference, Distances

# Ratios of what is equal to its last digit.
_LEAST = 1e-24


def distances(
    tuned: tuple[Backend, Path],
    other: tuple[Backend, Path],
    samples: Sequence[dict[str, Array]],
    *,
    deviation: float,
) -> Distances | None:
    """Measure how far two int8 networks are from fp32 and from each other.

    Args:
        tuned: The network that was tuned, and the int8 file of the result.
        other: Its other form, and that file.
        samples: A few batches; None is returned if there are none.
        deviation: See `backends.base.Transfer.deviation`.
    """
    if not samples:
        return None
    there, one = _compared(*tuned, samples)
    here, two = _compared(*other, samples)
    shapes = [[array.shape for array in batch] for batch in one]
    alike = shapes == [[array.shape for array in batch] for batch in two]
    return Distances(
        samples=sum(len(next(iter(batch.values()))) for batch in samples),
        result=decibels(there, one),
        artifact=decibels(here, two),
        between=decibels(one, two) if alike else None,
        fp32=-20 * float(np.log10(max(deviation, 1e-12))),
    )


def decibels(wanted: Sequence[Sequence[Array]], found: Sequence[Sequence[Array]]) -> float:
    """Return the signal-to-error ratio of floating-point outputs, averaged over these, in dB.

    Args:
        wanted: Outputs of each batch.
        found: The same outputs of another network.
    """
    errors = [
        relative_error([one[port] for one in wanted], [one[port] for one in found])
        for port, first in enumerate(wanted[0])
        if first.dtype.kind == "f"
    ]
    value = float(np.mean(errors)) if errors else 0.0
    return -10 * float(np.log10(max(value, _LEAST))) if np.isfinite(value) else -240.0


def _compared(
    backend: Backend, path: Path, samples: Sequence[dict[str, Array]]
) -> tuple[list[Sequence[Array]], list[Sequence[Array]]]:
    """Return what fp32 gives and what a file gives, where the backend compares them."""
    references = backend.references(samples)
    model = backend.load(path)
    try:
        pairs = zip(samples, references, strict=True)
        found = [backend.raw_outputs(model, batch, reference) for batch, reference in pairs]
    finally:
        model.close()
    return [one.outputs for one in references], list(found)


def differing(one: Array | None, other: Array | None) -> tuple[int, int] | None:
    """Return how many samples score differently, and how many there are.

    Args:
        one: Per-sample scores; None where these are not known.
        other: Those of another network.
    """
    if one is None or other is None or one.shape != other.shape:
        return None
    return int(np.count_nonzero(one != other)), len(one)


def differences(
    here: Sequence[OpDecision], there: Sequence[OpDecision], transferred: Transferred
) -> list[Difference]:
    """Return the groups that are not in the precision of their counterpart, or have none."""
    before = {**{one.name: one.precision for one in there}, **_precisions(there)}
    reasons = {one.group: one.reason for one in here if one.group}
    found = []
    for name, precision in _precisions(here).items():
        counterpart = transferred.counterparts.get(name, "")
        if precision != before.get(counterpart, ""):
            found.append(
                Difference(
                    group=name,
                    counterpart=counterpart,
                    here=precision,
                    there=before.get(counterpart, ""),
                    reason=reasons[name],
                )
            )
    return found


def missing(there: Sequence[OpDecision], transferred: Transferred) -> list[str]:
    """Return the int8 groups of the result that have no counterpart in its other form."""
    known = set(transferred.counterparts.values())
    int8 = [name for name, precision in _precisions(there).items() if precision == "int8"]
    return [name for name in int8 if name not in known]


def _precisions(decisions: Iterable[OpDecision]) -> dict[str, str]:
    return {one.group: one.precision for one in decisions if one.group}
