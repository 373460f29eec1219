"""COCO mean average precision of boxes or masks, scored by pycocotools and kept per image."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.metrics.protocol import COCO, Protocol

Kind = Literal["bbox", "segm"]
"""What is compared with the annotations: boxes or masks."""

_MAX_DETECTIONS = 100


@dataclass(frozen=True, kw_only=True)
class CocoEvaluation:
    """COCO scores with the matches they come from, so that images can be resampled.

    The arrays hold every detection that counts, sorted by category, then by descending score.
    T is the number of IoU thresholds (10), D the number of detections, K the number of
    categories with objects in the evaluated images, I the number of evaluated images.

    Attributes:
        scores: ``mAP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl`` and ``AR100``, each in
            [0, 1]; 0 where no object of that size exists.
        image_ids: The evaluated images, ascending; ``resample`` takes indices into them.
        true_positive: bool [T, D], the detection matched an object.
        false_positive: bool [T, D]; neither is set where the detection matched a crowd.
        image: int64 [D], the index of the detection's image.
        starts: int64 [K + 1], where each category's detections begin and end.
        objects: int64 [K, I], objects to find, crowds not counted.
        points: See `protocol.Protocol`.
    """

    scores: dict[str, float]
    image_ids: tuple[int, ...]
    true_positive: NDArray[np.bool_]
    false_positive: NDArray[np.bool_]
    image: NDArray[np.int64]
    starts: NDArray[np.int64]
    objects: NDArray[np.int64]
    points: int = COCO.points

    def resample(self, image_indices: ArrayLike) -> float:
        """Return the mAP of a selection of the evaluated images, as drawn by a bootstrap.

        Args:
            image_indices: int [any], indices into ``image_ids``; an image drawn several times
                counts as often. Every index once, in any order, gives ``scores["mAP"]``.

        Returns:
            mAP in [0, 1], over the categories that have objects in the selection; 0 without any.

        The formula is that of pycocotools' ``accumulate``: precision made monotonic from the
        right, averaged over the recall levels, all IoU thresholds and categories. A precision is
        read only where a true positive adds recall, so only those points are visited; one whose
        image was not drawn adds no recall, and its precision is never above that of the drawn
        points before it.
        """
        at = self._points
        weight = np.bincount(np.asarray(image_indices), minlength=len(self.image_ids))
        found = self.objects @ weight
        drawn = weight[self.image]
        hits = _since(at.starts, np.cumsum(drawn[at.columns]))
        counted = _running(drawn)
        seen = counted[at.columns + 1] - counted[self.starts[at.category]]
        ignored = _running(drawn[at.ignored_columns])
        seen -= ignored[at.ignored_before] - ignored[at.ignored_start]
        precision = hits / np.maximum(seen, 1)
        # Lower segments lie higher, so the running maximum from the right restarts at each one.
        envelope = np.maximum.accumulate((precision + at.lift)[::-1])[::-1] - at.lift
        recall = hits / np.maximum(found[at.category], 1)
        levels = self._levels(recall)
        gained = np.diff(levels, prepend=0)
        gained[at.starts] = levels[at.starts]
        average = float((envelope * gained).sum()) / len(self.true_positive)
        return average / max(int((found > 0).sum()), 1)

    def _levels(self, recall: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of the recall levels that a recall reaches."""
        if not self.points:
            return recall
        levels = np.linspace(0.0, 1.0, self.points)
        return np.asarray(np.searchsorted(levels, recall, side="right") / self.points)

    @functools.cached_property
    def _points(self) -> _Points:
        """Where true positives are; the same for every selection."""
        rows, columns = np.nonzero(self.true_positive)
        category = self._category(columns)
        segment = rows * len(self.objects) + category  # ascending: rows, then columns, ascend
        # What is neither is not counted: it matched a crowd, or an object of no interest.
        ignored_rows, ignored_columns = np.nonzero(~self.true_positive & ~self.false_positive)
        width = self.true_positive.shape[1] + 1
        ignored = ignored_rows * width + ignored_columns
        return _Points(
            columns=columns,
            category=category,
            starts=np.flatnonzero(np.diff(segment, prepend=-1)),
            lift=2.0 * (segment.max(initial=0) - segment),
            ignored_columns=ignored_columns,
            ignored_start=np.searchsorted(ignored, rows * width + self.starts[category]),
            ignored_before=np.searchsorted(ignored, rows * width + columns),
        )

    def _category(self, columns: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(np.searchsorted(self.starts, columns, side="right") - 1)


@dataclass(frozen=True, kw_only=True)
class _Points:
    """The true positives as points (IoU threshold, detection), and what a draw needs of them.

    Attributes:
        columns: int64 [P], each point's detection.
        category: int64 [P].
        starts: int64 [S], the first point of each threshold and category that has points.
        lift: float64 [P], constant within those and higher for earlier ones by 2 or more.
        ignored_columns: int64 [Q], the detections that do not count, by threshold.
        ignored_start: int64 [P], how many of them come before the point's threshold and category.
        ignored_before: int64 [P], how many of them come before the point.
    """

    columns: NDArray[np.int64]
    category: NDArray[np.int64]
    starts: NDArray[np.int64]
    lift: NDArray[np.float64]
    ignored_columns: NDArray[np.int64]
    ignored_start: NDArray[np.int64]
    ignored_before: NDArray[np.int64]


def _running(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return sums [N + 1], the first 0."""
    total = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=total[1:])
    return total


def _since(starts: NDArray[np.int64], total: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn running sums into those since the start of each segment."""
    before = np.where(starts > 0, total[starts - 1], 0) if len(total) else total
    sizes = np.diff(starts, append=len(total))
    return np.asarray(total - np.repeat(before, sizes))


def evaluate_coco(
    ground_truth: Mapping[str, Any],
    detections: Iterable[Mapping[str, Any]],
    image_ids: Iterable[int] | None = None,
    *,
    kind: Kind = "bbox",
    protocol: Protocol = COCO,
) -> CocoEvaluation:
    """Score detections with pycocotools, silently.

    Args:
        ground_truth: The content of a COCO ``instances_*.json``: ``images``, ``categories`` and
            ``annotations`` with ``bbox`` as (x, y, width, height) in pixels. ``iscrowd``,
            ``area``, ``id``, ``segmentation`` and ``info`` may be missing. Not changed.
        detections: COCO results: ``image_id``, ``category_id``, ``bbox`` and ``score``. Not
            changed.
        image_ids: The evaluated images; all of the ground truth when None. Objects and
            detections of other images do not count.
        kind: What is compared. For ``segm`` every annotation and every detection has a
            ``segmentation``, that of a detection as run lengths of the whole image.
        protocol: The IoU thresholds, and the points on the curve.

    Raises:
        EvaluationError: If no evaluated image has an object, a detection names an image or a
            category that the ground truth lacks, or a segmentation is missing.
    """
    results = [dict(detection) for detection in detections]
    _check_known(ground_truth, results)
    if kind == "segm":
        _check_masks(ground_truth["annotations"], results)
    known = {int(image["id"]) for image in ground_truth["images"]}
    images = sorted(known if image_ids is None else known.intersection(map(int, image_ids)))
    truths = _truths(ground_truth, set(images), kind)
    # A category without objects has no average precision, so its detections change nothing.
    categories = sorted({truth["category_id"] for truth in truths if not truth["iscrowd"]})
    if not categories:
        raise EvaluationError(
            f"mAP needs at least one object in the evaluated images; the annotations hold none "
            f"for these {len(images)}. Check that the annotations belong to the images."
        )
    results = [one for one in results if one["category_id"] in set(categories)]
    for number, one in enumerate(results, start=1):
        one.update(id=number, area=_area(one, kind), iscrowd=0)
    run = _run(ground_truth, truths, results, images, categories, kind, protocol)
    found = _with_matches(run.evalImgs, _summary(run.eval, protocol), images, categories)
    if protocol.points:
        return replace(found, points=protocol.points)
    # pycocotools reads the curve at points only.
    found = replace(found, points=0)
    found.scores["mAP"] = found.resample(np.arange(len(images)))
    return found


def _area(result: Mapping[str, Any], kind: Kind) -> float:
    if kind == "bbox":
        return float(result["bbox"][2] * result["bbox"][3])
    from pycocotools import mask

    return float(mask.area(result["segmentation"]))


def _check_known(ground_truth: Mapping[str, Any], results: Sequence[dict[str, Any]]) -> None:
    for key, table in (("image_id", "images"), ("category_id", "categories")):
        unknown = {one[key] for one in results} - {row["id"] for row in ground_truth[table]}
        if unknown:
            raise EvaluationError(
                f"Every detection's {key} must be among the {table} of the annotations; "
                f"{min(unknown)} is not. Correct the decoding of the model's output."
            )


def _check_masks(*tables: Iterable[Mapping[str, Any]]) -> None:
    for name, table in zip(("annotation", "detection"), tables, strict=True):
        lacking = sum(not row.get("segmentation") for row in table)
        if lacking:
            raise EvaluationError(
                f"mAP of masks needs the segmentation of every {name}; {lacking} have none. Use "
                "annotations and a model with masks, or score boxes only."
            )


def _truths(ground_truth: Mapping[str, Any], images: set[int], kind: Kind) -> list[dict[str, Any]]:
    """Copy the annotations of the images, renumbered from 1; pycocotools takes 0 for unmatched."""
    rows = (row for row in ground_truth["annotations"] if row["image_id"] in images)
    masks = ("segmentation",) if kind == "segm" else ()
    return [
        {
            "id": number,
            "image_id": row["image_id"],
            "category_id": row["category_id"],
            "bbox": list(row["bbox"]),
            "area": row["area"] if "area" in row else row["bbox"][2] * row["bbox"][3],
            "iscrowd": int(row.get("iscrowd", 0)),
            **{key: row[key] for key in masks},
        }
        for number, row in enumerate(rows, start=1)
    ]


def _run(
    ground_truth: Mapping[str, Any],
    truths: list[dict[str, Any]],
    results: list[dict[str, Any]],
    images: list[int],
    categories: list[int],
    kind: Kind,
    protocol: Protocol,
) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    shared = {"images": ground_truth["images"], "categories": ground_truth["categories"]}
    with contextlib.redirect_stdout(io.StringIO()):
        truth_index, result_index = COCO(), COCO()
        truth_index.dataset = {**shared, "annotations": truths}
        result_index.dataset = {**shared, "annotations": results}
        truth_index.createIndex()
        result_index.createIndex()
        run = COCOeval(truth_index, result_index, kind)
        run.params.imgIds, run.params.catIds = images, categories
        run.params.maxDets = [_MAX_DETECTIONS]  # AR1 and AR10 would only cost time
        run.params.iouThrs = np.asarray(protocol.thresholds)
        run.params.recThrs = protocol.recalls
        run.evaluate()
        run.accumulate()
    return run


def _summary(result: Mapping[str, Any], protocol: Protocol) -> dict[str, float]:
    """Average as pycocotools' ``summarize`` does, from [T, R, K, A] and [T, K, A].

    -1 marks what has no objects. T are the IoU thresholds, A the areas all, small, medium and
    large.
    """
    precision, recall = result["precision"][..., 0], result["recall"][..., 0]
    at = {round(100 * one): row for row, one in enumerate(protocol.thresholds)}
    single = {f"AP{one}": precision[at[one], ..., 0] for one in (50, 75) if one in at}
    parts = {
        "mAP": precision[..., 0],
        **single,
        "APs": precision[..., 1],
        "APm": precision[..., 2],
        "APl": precision[..., 3],
        "AR100": recall[..., 0],
    }
    defined = {name: part[part > -1] for name, part in parts.items()}
    return {name: float(part.mean()) if part.size else 0.0 for name, part in defined.items()}


def _with_matches(
    matches: Sequence[Mapping[str, Any] | None],
    scores: dict[str, float],
    images: list[int],
    categories: list[int],
) -> CocoEvaluation:
    """Flatten pycocotools' per-image results [K, area ranges, I], of which area 0 is "all"."""
    areas = len(matches) // (len(categories) * len(images))
    grid = np.empty(len(matches), dtype=object)
    grid[:] = matches
    cells = grid.reshape(len(categories), areas, len(images))[:, 0]
    objects = np.zeros(cells.shape, dtype=np.int64)
    columns: list[tuple[NDArray[Any], ...]] = []
    for (category, image), cell in np.ndenumerate(cells):
        if cell is None:
            continue
        objects[category, image] = np.count_nonzero(np.asarray(cell["gtIgnore"]) == 0)
        count = len(cell["dtScores"])
        matched, ignored = cell["dtMatches"] > 0, cell["dtIgnore"].astype(bool)
        columns.append(
            (
                np.full(count, category),
                np.full(count, image),
                np.asarray(cell["dtScores"], dtype=np.float64),
                (matched & ~ignored).T,
                (~matched & ~ignored).T,
            )
        )
    category, image, score, true, false = (
        np.concatenate(part) for part in zip(*columns, strict=True)
    )
    order = np.lexsort((-score, category))  # stable: equal scores stay in image order
    bounds = np.searchsorted(category[order], np.arange(len(categories) + 1))
    return CocoEvaluation(
        scores=scores,
        image_ids=tuple(images),
        true_positive=np.ascontiguousarray(true[order].T),
        false_positive=np.ascontiguousarray(false[order].T),
        image=image[order].astype(np.int64),
        starts=bounds.astype(np.int64),
        objects=objects,
    )
