"""Checks the masks of COCO annotations, before hours of evaluation need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lpot_examples.errors import DataError

_HINT = "Give instances annotations with masks, as COCO publishes them, or score boxes only."


def check_segmentations(ground_truth: Mapping[str, Any], *, source: str) -> None:
    """Check that every annotation has a mask that fits its image.

    Args:
        ground_truth: ``images`` and ``annotations`` of a COCO instances file. A mask is a list of
            polygons [x, y, x, y, …] in pixels, or run lengths: ``size`` (height, width) and
            ``counts``.
        source: Where the annotations came from, for the message.

    Raises:
        DataError: If one has none, or one that cannot be drawn; with its id.
    """
    sizes = {row["id"]: [row["height"], row["width"]] for row in ground_truth["images"]}
    rows = ground_truth["annotations"]
    lacking = [row for row in rows if not row.get("segmentation")]
    if lacking:
        raise DataError(
            f"{source}: every annotation needs a segmentation where masks are scored; "
            f"{len(lacking)} of {len(rows)} have none, the first of id {lacking[0].get('id')}. "
            f"{_HINT}"
        )
    for row in rows:
        fault = _fault(row["segmentation"], sizes[row["image_id"]])
        if fault:
            raise DataError(f"{source}: annotation {row.get('id')} has {fault}. {_HINT}")


def _fault(segmentation: object, size: list[int]) -> str:
    """Return what is wrong with a mask; empty if nothing is."""
    if isinstance(segmentation, Mapping):
        if "counts" not in segmentation or list(segmentation.get("size", ())) != size:
            return f"run lengths of size {segmentation.get('size')}; its image has {size}"
        return ""
    if not isinstance(segmentation, list):
        return f"a segmentation that is {type(segmentation).__name__}, no polygons or run lengths"
    for polygon in segmentation:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            return "a polygon that is not a list of three or more points [x, y, x, y, …]"
        if not all(isinstance(side, (int, float)) for side in polygon):
            return "a polygon with coordinates that are no numbers"
    return ""
