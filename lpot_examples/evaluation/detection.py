"""COCO mean average precision of a detection network over an annotated dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.batches import begin_reading
from lpot_examples.evaluation.metrics.coco import evaluate_coco
from lpot_examples.evaluation.racing import raced_pass
from lpot_examples.evaluation.result import EvaluationResult
from lpot_examples.evaluation.subset_racing import SubsetRace

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Detections:
    """What a network found in one image.

    Attributes:
        boxes: [N, 4], corners (x1, y1, x2, y2) in pixels of the original image.
        scores: [N], higher is more certain.
        categories: integer [N], category ids of the annotations.
        masks: One per box, of the whole image, in COCO's run lengths; None where the network gives
            none.
    """

    boxes: NDArray[Any]
    scores: NDArray[Any]
    categories: NDArray[Any]
    masks: Sequence[Mapping[str, Any]] | None = None


Decode = Callable[[Any, NDArray[np.int64]], Sequence[Detections]]
"""``decode(output, sizes)``: a batch's output and its images' [n, 2] (width, height) in pixels."""


class DetectionEvaluation:
    """An ``eval_func`` that scores COCO mAP.

    Args:
        batches: Yields ``(inputs, image_ids)``, image ids integer [n]; iterated once per
            evaluation.
        ground_truth: The content of a COCO instances file; every image has width and height, and
            all are evaluated.
        decode: Turns the model's output for a batch into the `Detections` of each image. It
            raises `EvaluationError` for an output of the wrong shape.
        masks: Whether masks are scored besides boxes: there are then two scores, ``box mAP`` and
            ``mask mAP``. Every annotation needs a segmentation and every detection a mask.

    Attributes:
        samples: How many images are evaluated.
    """

    def __init__(
        self,
        batches: Iterable[tuple[NDArray[Any], NDArray[Any]]],
        *,
        ground_truth: Mapping[str, Any],
        decode: Decode,
        masks: bool = False,
    ) -> None:
        self.samples = len(ground_truth["images"])
        self._masks = masks
        self._batches = batches
        self._truth = ground_truth
        self._decode = decode
        self._sizes = {row["id"]: (row["width"], row["height"]) for row in ground_truth["images"]}

    def begin(self) -> None:
        """Let the data be read from now on, if they can be: the model is still being loaded."""
        begin_reading(self._batches)

    def __call__(
        self,
        model: Callable[[Any], Any],
        *,
        progress: Progress | None = None,
        monitor: Any = None,
    ) -> EvaluationResult:
        """Score ``model`` on all images; mAP, with the other COCO scores in the details.

        The result can be resampled by images, in ascending order of their ids, unless masks are
        scored too.

        Args:
            model: Maps a batch to what ``decode`` takes.
            progress: Called after each batch with the images done and their total.
            monitor: A `subset_racing.SubsetRace`, which may end the evaluation; the result is then
                that of the images seen. Others have no effect.

        Raises:
            EvaluationError: If the model's output does not fit, or nothing is annotated.
        """
        race = monitor if isinstance(monitor, SubsetRace) and not self._masks else None
        results, seen = self._results(model, progress, race)
        lost = race is not None and race.stop is not None
        evaluation = evaluate_coco(self._truth, results, seen if lost else None)
        scores = evaluation.scores
        if self._masks:
            return self._with_masks(scores, results)
        return EvaluationResult(
            score=scores["mAP"],
            metric="mAP",
            samples=len(seen) if lost else self.samples,
            details=scores,
            resample=evaluation.resample,
        )

    def _with_masks(
        self, boxes: dict[str, float], results: list[dict[str, Any]]
    ) -> EvaluationResult:
        masks = evaluate_coco(self._truth, results, kind="segm").scores
        return EvaluationResult(
            score=boxes["mAP"],
            metric="box mAP",
            samples=self.samples,
            details={**boxes, **{f"mask {name}": score for name, score in masks.items()}},
            scores={"box mAP": boxes["mAP"], "mask mAP": masks["mAP"]},
        )

    def _results(
        self,
        model: Callable[[Any], Any],
        progress: Progress | None,
        race: SubsetRace | None = None,
    ) -> tuple[list[dict[str, Any]], list[int]]:
        """Run the model on all images, or until a race is lost.

        Returns:
            What it found, as COCO results, and the ids of the images seen.
        """
        results: list[dict[str, Any]] = []
        seen: list[int] = []
        order, batches = self._pass(race)
        for inputs, image_ids in batches:
            ids = [int(image_id) for image_id in image_ids]
            sizes = np.asarray([self._sizes[one] for one in ids], dtype=np.int64)
            found = self._decode(model(inputs), sizes)
            if len(found) != len(ids):
                raise EvaluationError(
                    f"The model must answer for each of the {len(ids)} images of a batch; it "
                    f"answered for {len(found)}. Use a model whose batch dimension is free."
                )
            for image_id, detections in zip(ids, found, strict=True):
                results += coco_results(image_id, detections)
            seen += ids
            if progress is not None:
                progress(len(seen), self.samples)
            if race is None or not race.due(len(seen)) or order[: len(seen)] != seen:
                continue
            if race.look(self._scorer(results, seen), len(seen)):
                break
        return results, seen

    def _pass(self, race: SubsetRace | None) -> tuple[list[int], Iterator[Any]]:
        """Return the ids of the images in the order of one pass, if it is raced, and its batches.

        A race speaks of images in ascending order of their ids.
        """
        raced = raced_pass(self._batches, self.samples, race)
        if raced is None:
            return [], iter(self._batches)
        order, batches = raced
        ids = sorted(self._sizes)
        return [ids[row] for row in order], batches

    def _scorer(
        self, results: list[dict[str, Any]], seen: list[int]
    ) -> Callable[[NDArray[np.int64]], float]:
        """Return what scores a selection of images, given by their places among all ids."""
        evaluation = evaluate_coco(self._truth, results, seen)
        places = np.searchsorted(sorted(seen), sorted(self._sizes))
        return lambda rows: evaluation.resample(places[rows])


def coco_results(image_id: int, detections: Detections) -> list[dict[str, Any]]:
    """Write one image's detections as COCO results.

    Detections that are not finite are left out, so that a candidate whose arithmetic broke scores
    low instead of ending the tuning.
    """
    boxes = np.asarray(detections.boxes, dtype=np.float64).reshape(-1, 4)
    scores = np.asarray(detections.scores, dtype=np.float64)
    finite = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
    corner, size = boxes[finite, :2], boxes[finite, 2:] - boxes[finite, :2]
    rows = np.concatenate([corner, size], axis=1).tolist()
    kinds = np.asarray(detections.categories)[finite].tolist()
    results: list[dict[str, Any]] = [
        {"image_id": image_id, "category_id": kind, "bbox": row, "score": score}
        for row, kind, score in zip(rows, kinds, scores[finite].tolist(), strict=True)
    ]
    if detections.masks is not None:
        for result, index in zip(results, np.flatnonzero(finite).tolist(), strict=True):
            result["segmentation"] = detections.masks[index]
    return results
