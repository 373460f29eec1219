"""How an average precision is defined: the IoU thresholds and the points on the curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.evaluation.metrics.arguments import ArgumentError

POINTS = (101, 11, 0)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One definition of the mean average precision.

    Attributes:
        thresholds: The IoU from which a detection matches an object, each in (0, 1]; the average
            is over them.
        points: Recall levels at which precision is read and averaged, from 0 to 1; 0 for the area
            under the curve.
    """

    thresholds: tuple[float, ...]
    points: int

    @property
    def recalls(self) -> NDArray[np.float64]:
        """The recall levels, float64 [points]; COCO's 101 where the area is asked for."""
        return np.linspace(0.0, 1.0, self.points or 101)


COCO = Protocol(thresholds=tuple(np.linspace(0.5, 0.95, 10).tolist()), points=101)
"""COCO's: https://cocodataset.org/#detection-eval."""

VOC = Protocol(thresholds=(0.5,), points=0)
"""Pascal VOC's since 2010; until then with 11 points."""


def protocol(iou_thrs: Any, map_points: Any) -> Protocol:
    """Return the protocol of LPOT's arguments.

    Args:
        iou_thrs: One threshold, or ``first:step:last`` with the last included.
        map_points: One of `POINTS`.

    Raises:
        ArgumentError: If they are neither.
    """
    if isinstance(map_points, bool) or map_points not in POINTS:
        known = ", ".join(map(str, POINTS))
        raise ArgumentError(f"must be one of {known}; got {map_points!r}.", "map_points")
    return Protocol(thresholds=_thresholds(iou_thrs), points=int(map_points))


def _thresholds(value: Any) -> tuple[float, ...]:
    try:
        parts = [float(part) for part in str(value).split(":")]
        if len(parts) == 1:
            found = tuple(parts)
        else:
            first, step, last = parts
            found = tuple(np.linspace(first, last, round((last - first) / step) + 1).tolist())
        if not found or not all(0 < one <= 1 for one in found):
            raise ValueError
    except (ValueError, ZeroDivisionError):
        raise ArgumentError(
            "must be one number in (0, 1], or 'first:step:last' such as '0.5:0.05:0.95'; got "
            f"{value!r}.",
            "iou_thrs",
        ) from None
    return found
