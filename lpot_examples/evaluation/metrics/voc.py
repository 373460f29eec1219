"""Pascal VOC's mean average precision, kept per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.detection import Detections
from lpot_examples.evaluation.metrics.coco import CocoEvaluation
from lpot_examples.evaluation.metrics.labels import ImageLabels
from lpot_examples.evaluation.metrics.protocol import VOC, Protocol

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class VocImage:
    """One image's objects and detections, boxes as corners (ymin, xmin, ymax, xmax) in any unit.

    Attributes:
        truths: float64 [N, 4].
        classes: int64 [N].
        difficult: bool [N].
        boxes: float64 [D, 4].
        scores: float64 [D].
        found: int64 [D], the detections' classes.
    """

    truths: Floats
    classes: NDArray[np.int64]
    difficult: NDArray[np.bool_]
    boxes: Floats
    scores: Floats
    found: NDArray[np.int64]

    @classmethod
    def of(cls, image: ImageLabels, found: Detections) -> VocImage:
        """Join labels and detections; detections that are not finite are left out."""
        finite = np.isfinite(found.boxes).all(axis=1) & np.isfinite(found.scores)
        return cls(
            truths=image.boxes,
            classes=image.classes,
            difficult=image.difficult,
            boxes=found.boxes[finite],
            scores=found.scores[finite],
            found=np.asarray(found.categories)[finite],
        )


def evaluate_voc(images: Sequence[VocImage], protocol: Protocol = VOC) -> CocoEvaluation:
    """Score detections as VOC's development kit does.

    Everingham et al., "The Pascal Visual Object Classes (VOC) challenge", IJCV 88 (2010), section
    4.2: in the order of descending scores each detection of an image is given the object of its
    class with the greatest IoU; from the threshold on it is right if it is the first for that
    object, and else wrong. Detections of difficult objects count as neither. Boxes are not widened
    by a pixel, as the kit does with whole coordinates.

    Args:
        images: Objects and detections.
        protocol: One IoU threshold, and the points on the curve.

    Raises:
        EvaluationError: If there is no object that counts.
    """
    kinds = sorted({int(k) for one in images for k in one.classes[~one.difficult]})
    if not kinds:
        raise EvaluationError(
            f"mAP needs at least one object that is not difficult; the {len(images)} images hold "
            "none. Check that the annotations belong to the images."
        )
    objects = np.zeros((len(kinds), len(images)), dtype=np.int64)
    columns = []
    for number, image in enumerate(images):
        for row, kind in enumerate(kinds):
            at = image.classes == kind
            objects[row, number] = np.count_nonzero(at & ~image.difficult)
            mine = np.flatnonzero(image.found == kind)
            mine = mine[np.argsort(-image.scores[mine], kind="stable")]
            true, false = _match(
                image.boxes[mine], image.truths[at], image.difficult[at], protocol.thresholds[0]
            )
            place = np.tile([row, number], (len(mine), 1))
            columns.append((place, image.scores[mine], true, false))
    place, score, true, false = (np.concatenate(part) for part in zip(*columns, strict=True))
    order = np.lexsort((-score, place[:, 0]))  # stable: equal scores stay in image order
    evaluation = CocoEvaluation(
        scores={},
        image_ids=tuple(range(len(images))),
        true_positive=true[None, order],
        false_positive=false[None, order],
        image=place[order, 1].astype(np.int64),
        starts=np.searchsorted(place[order, 0], np.arange(len(kinds) + 1)).astype(np.int64),
        objects=objects,
        points=protocol.points,
    )
    evaluation.scores["mAP"] = evaluation.resample(np.arange(len(images)))
    return evaluation


def _match(
    boxes: Floats, truths: Floats, difficult: NDArray[np.bool_], threshold: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which detections of one class, best first, are right, and which are wrong."""
    true, false = np.zeros(len(boxes), dtype=bool), np.zeros(len(boxes), dtype=bool)
    if not len(truths):
        return true, ~false
    overlaps = iou(boxes, truths)
    taken = np.zeros(len(truths), dtype=bool)
    for row, each in enumerate(overlaps):
        best = int(each.argmax())
        if each[best] < threshold:
            false[row] = True
        elif not difficult[best]:
            true[row], false[row] = not taken[best], taken[best]
            taken[best] = True
    return true, false


def iou(one: Floats, two: Floats) -> Floats:
    """Return intersection over union of boxes [D, 4] and [N, 4], float64 [D, N]."""
    low = np.maximum(one[:, None, :2], two[None, :, :2])
    high = np.minimum(one[:, None, 2:], two[None, :, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=2)
    first, second = (
        np.prod(np.maximum(part[:, 2:] - part[:, :2], 0), axis=1) for part in (one, two)
    )
    return np.asarray(both / np.maximum(first[:, None] + second[None] - both, 1e-12))
