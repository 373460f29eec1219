"""mAP of detectors that answer as those of TensorFlow's model zoos do: boxes, scores, classes.

TF1's frozen graphs and TF2's SavedModels name their outputs alike, in whatever order:

    detection_boxes    [n, k, 4]  corners (ymin, xmin, ymax, xmax) relative to the image
    detection_scores   [n, k]
    detection_classes  [n, k]     label ids; on COCO they are the category ids
    num_detections     [n]        how many of the k count; all of them where it is missing
    detection_masks    [n, k, mh, mw]  probabilities, each spread over its box
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import EvaluationError
from lpot_examples.evaluation.detection import DetectionEvaluation, Detections, Progress
from lpot_examples.evaluation.masks import encode_masks
from lpot_examples.evaluation.result import EvaluationResult

BOXES, SCORES, CLASSES = "detection_boxes", "detection_scores", "detection_classes"
NUMBER, MASKS = "num_detections", "detection_masks"
ORDER = (NUMBER, BOXES, SCORES, CLASSES, MASKS)
"""The outputs of a model that names none of them so."""

Outputs = Mapping[str, NDArray[Any]]


class ZooDetectionEvaluation(DetectionEvaluation):
    """An ``eval_func`` that scores COCO mAP of boxes, and of masks where asked for.

    Args:
        batches: Yields ``(images, image_ids)``, image ids integer [n]; iterated once per
            evaluation.
        ground_truth: The content of a COCO instances file; all its images are evaluated. With
            masks, every annotation has a segmentation.
        masks: Whether masks are scored too: the result has two scores, ``box mAP`` and
            ``mask mAP``.

    Attributes:
        samples: How many images are evaluated.
    """

    def __init__(
        self,
        batches: Iterable[tuple[NDArray[Any], NDArray[Any]]],
        *,
        ground_truth: Mapping[str, Any],
        masks: bool = False,
    ) -> None:
        categories = frozenset(int(row["id"]) for row in ground_truth["categories"])
        decode = partial(zoo_detections, categories=categories, masks=masks)
        super().__init__(batches, ground_truth=ground_truth, decode=decode, masks=masks)

    def __call__(
        self,
        model: Callable[[Any], Any],
        *,
        progress: Progress | None = None,
        monitor: Any = None,
    ) -> EvaluationResult:
        """Score a model on all images, see `DetectionEvaluation`.

        Args:
            model: Maps a batch of images to the outputs above: as a mapping by name, as a tuple
                that ``model.output_names`` names, or as a tuple in the order of `ORDER`.
            progress: Called after each batch with the images done and their total.
            monitor: May end the evaluation, as that of `DetectionEvaluation`.

        Raises:
            EvaluationError: If an output is missing or does not have its form.
        """
        return super().__call__(
            lambda images: by_name(model, model(images)), progress=progress, monitor=monitor
        )


def by_name(model: object, output: object) -> dict[str, NDArray[Any]]:
    """Return a model's outputs by their plain names.

    Args:
        model: Its ``output_names`` name the parts of a tuple; ``scope/name:0`` is ``name``. Where
            none of them is known here, four outputs or five are those of `ORDER`.
        output: What it returned.

    Raises:
        EvaluationError: If it cannot be told what the outputs are.
    """
    if isinstance(output, Mapping):
        return {_plain(name): np.asarray(value) for name, value in output.items()}
    parts = output if isinstance(output, (tuple, list)) else (output,)
    names = tuple(map(_plain, getattr(model, "output_names", ())))
    if len(names) != len(parts) or not set(ORDER) & set(names):
        if len(parts) not in (len(ORDER) - 1, len(ORDER)):
            raise EvaluationError(
                f"A detector must give {', '.join(ORDER[:-1])} and perhaps {MASKS}; the model gave "
                f"{len(parts)} ({', '.join(names) or 'no names'}). Name its outputs in the yaml "
                "(model.outputs), or return a dict of names and arrays."
            )
        names = ORDER[: len(parts)]
    return {name: np.asarray(value) for name, value in zip(names, parts, strict=True)}


def zoo_detections(
    outputs: Outputs,
    sizes: NDArray[np.int64],
    *,
    categories: frozenset[int],
    masks: bool = False,
) -> list[Detections]:
    """Decode a batch.

    What is not finite or has no score is left out, and so are classes that the annotations do not
    know: no object of theirs can be found. Boxes are cut at the image's edges.

    Args:
        outputs: The arrays above by name; others do not matter.
        sizes: int64 [n, 2], (width, height) of the images, pixels.
        categories: The category ids of the annotations.
        masks: Whether masks are needed.

    Raises:
        EvaluationError: If an output is missing or has another shape, or classes are no label ids.
    """
    _check(outputs, len(sizes), masks)
    found = []
    for image, (width, height) in enumerate(sizes.tolist()):
        rows, labels = _kept(outputs, image, categories)
        boxes = np.asarray(outputs[BOXES][image], dtype=np.float64)[rows]
        found.append(
            Detections(
                boxes=_pixels(boxes, width, height),
                scores=np.asarray(outputs[SCORES][image])[rows],
                categories=labels,
                masks=encode_masks(outputs[MASKS][image][rows], boxes, (width, height))
                if masks
                else None,
            )
        )
    return found


def _plain(name: str) -> str:
    return name.rpartition("/")[2].partition(":")[0]


def _check(outputs: Outputs, images: int, masks: bool) -> None:
    """Raise unless the outputs are there, in their shapes."""
    wanted = [BOXES, SCORES, CLASSES, *([MASKS] if masks else [])]
    missing = [name for name in wanted if name not in outputs]
    if missing:
        raise EvaluationError(
            f"A detector must give {', '.join(wanted)}; this one lacks {', '.join(missing)} and "
            f"gives {', '.join(outputs)}. Name its outputs in the yaml (model.outputs)."
        )
    shapes = {name: array.shape for name, array in outputs.items()}
    rows = shapes[BOXES][1] if len(shapes[BOXES]) > 1 else 0
    fits = {
        BOXES: shapes[BOXES] == (images, rows, 4),
        SCORES: shapes[SCORES] == (images, rows),
        CLASSES: shapes[CLASSES] == (images, rows),
        NUMBER: shapes.get(NUMBER, (images,)) == (images,),
        MASKS: not masks or (len(shapes[MASKS]) == 4 and shapes[MASKS][:2] == (images, rows)),
    }
    wrong = [name for name, fit in fits.items() if not fit]
    if wrong:
        listed = ", ".join(f"{name} {list(shapes[name])}" for name in fits if name in shapes)
        raise EvaluationError(
            f"For {images} images a detector must give {BOXES} [{images}, k, 4], {SCORES} and "
            f"{CLASSES} [{images}, k], {NUMBER} [{images}] and {MASKS} [{images}, k, mh, mw]; it "
            f"gave {listed}. Use a model of this topology, with its batch dimension free or "
            "--batch_size=1."
        )


def _kept(
    outputs: Outputs, image: int, categories: frozenset[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of one image that count, and their category ids."""
    scores, classes = outputs[SCORES][image], outputs[CLASSES][image]
    number = float(outputs[NUMBER][image]) if NUMBER in outputs else float(len(scores))
    count = int(min(max(number, 0), len(scores))) if np.isfinite(number) else 0
    finite = np.isfinite(scores) & np.isfinite(classes)
    finite &= np.isfinite(outputs[BOXES][image]).all(axis=-1)
    rows = np.flatnonzero(finite & (scores > 0) & (np.arange(len(scores)) < count))
    labels = np.rint(classes[rows]).astype(np.int64)
    unfit = classes[rows][(labels != classes[rows]) | (labels < min(1, *categories))]
    if unfit.size:
        raise EvaluationError(
            f"{CLASSES} must be the label ids of the annotations, such as 1 to 90 on COCO; one is "
            f"{unfit[0]:g}. Number the classes as the annotations do."
        )
    known = np.isin(labels, sorted(categories))
    return rows[known], labels[known]


def _pixels(boxes: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """Turn relative (ymin, xmin, ymax, xmax) into (x1, y1, x2, y2) in pixels."""
    sides = np.asarray([width, height, width, height], dtype=np.float64)
    corners: NDArray[np.float64] = np.clip(boxes, 0, 1)[:, [1, 0, 3, 2]] * sides
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2])
    return corners
