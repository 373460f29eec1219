"""LPOT's mAP metrics: detections of zoo networks against the labels of detection datasets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lpot_examples.errors import EvaluationError, nearest
from lpot_examples.evaluation.detection import Detections, coco_results
from lpot_examples.evaluation.metrics.arguments import ArgumentError
from lpot_examples.evaluation.metrics.base import Metric
from lpot_examples.evaluation.metrics.class_names import COCO_NAMES, VOC_NAMES
from lpot_examples.evaluation.metrics.coco import CocoEvaluation, evaluate_coco
from lpot_examples.evaluation.metrics.labels import ImageLabels, LabelReader
from lpot_examples.evaluation.metrics.outputs import OutputReader
from lpot_examples.evaluation.metrics.protocol import protocol
from lpot_examples.evaluation.metrics.voc import VocImage, evaluate_voc
from lpot_examples.evaluation.result import EvaluationResult

MAP_KEYS = {
    "DetectionBoxes_Precision/mAP": "mAP",
    "DetectionBoxes_Precision/mAP@.50IOU": "AP50",
    "DetectionBoxes_Precision/mAP@.75IOU": "AP75",
    "DetectionBoxes_Precision/mAP (small)": "APs",
    "DetectionBoxes_Precision/mAP (medium)": "APm",
    "DetectionBoxes_Precision/mAP (large)": "APl",
    "DetectionBoxes_Recall/AR@100": "AR100",
}
"""LPOT's ``map_key`` → our name of the score."""

_SIZED = frozenset({"APs", "APm", "APl"})


class _BoxMap(Metric):
    """Reads the labels and detections of images.

    An image whose id came before is not counted again.

    Args:
        names: Class names → ids, where there is no label map.
        anno_path: A label map, see `labels.LabelReader`.
        output_index_mapping: See `outputs.OutputReader`.
    """

    title = "mAP"

    def __init__(
        self,
        names: Mapping[str, int],
        anno_path: str | None,
        output_index_mapping: Mapping[str, int] | None,
    ) -> None:
        self._read_labels = LabelReader(anno_path, names=names)
        self._read_outputs = OutputReader(output_index_mapping)
        self.reset()

    def expect(self, outputs: Sequence[str]) -> None:
        """Find boxes, scores and classes among the outputs by their names."""
        self._read_outputs.expect(outputs)

    def reset(self) -> None:
        """Forget all batches."""
        self._seen: set[str] = set()

    def update(self, preds: Any, labels: Any) -> None:
        """Take a batch; see `Metric.update`."""
        images = self._read_labels(labels)
        for image, found in zip(images, self._read_outputs(preds, len(images)), strict=True):
            if image.identity and image.identity in self._seen:
                continue
            self._seen.add(image.identity)
            self._add(image, found)

    @abstractmethod
    def _add(self, image: ImageLabels, found: Detections) -> None:
        """Keep one image."""


class CocoMap(_BoxMap):
    """Mean average precision with COCO's matching, by pycocotools.

    Predictions are ``(num_detections, boxes, scores, classes)``, or without the first; boxes are
    corners (ymin, xmin, ymax, xmax) as fractions of the image, classes ids. Labels are those of
    `labels.LabelReader`. Detections of classes that no image has change nothing.

    Args:
        anno_path: A label map, see `labels.LabelReader`; for labels that are names.
        iou_thrs: See `protocol.protocol`.
        map_points: See `protocol.protocol`.
        map_key: Which score counts, a key of `MAP_KEYS`.
        output_index_mapping: See `outputs.OutputReader`.
    """

    def __init__(
        self,
        anno_path: str | None = None,
        iou_thrs: str | float = "0.5:0.05:0.95",
        map_points: int = 101,
        map_key: str = "DetectionBoxes_Precision/mAP",
        output_index_mapping: Mapping[str, int] | None = None,
    ) -> None:
        if map_key not in MAP_KEYS:
            raise ArgumentError(
                f"must be one of {', '.join(MAP_KEYS)}; got {map_key!r}."
                f"{nearest(str(map_key), MAP_KEYS)}",
                "map_key",
            )
        self._protocol = protocol(iou_thrs, map_points)
        self._key = MAP_KEYS[map_key]
        self.title = self._key
        super().__init__(COCO_NAMES, anno_path, output_index_mapping)

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self._images: list[dict[str, Any]] = []
        self._truths: list[dict[str, Any]] = []
        self._results: list[dict[str, Any]] = []
        self._sized = True

    def _add(self, image: ImageLabels, found: Detections) -> None:
        # IoU does not depend on the unit; without the size it is the image's sides.
        height, width = image.size or (1, 1)
        self._sized = self._sized and image.size is not None
        number = len(self._images)
        self._images.append({"id": number, "width": width, "height": height})
        scale = np.asarray([height, width, height, width], dtype=np.float64)
        for at, (y0, x0, y1, x1) in enumerate((image.boxes * scale).tolist()):
            truth = {
                "image_id": number,
                "category_id": int(image.classes[at]),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "iscrowd": int(image.crowd[at]),
            }
            if image.area is not None:
                truth["area"] = float(image.area[at])
            self._truths.append(truth)
        boxes = (found.boxes * scale)[:, [1, 0, 3, 2]]
        scaled = Detections(boxes=boxes, scores=found.scores, categories=found.categories)
        self._results += coco_results(number, scaled)

    def evaluate(self) -> EvaluationResult:
        """Return mAP of all images since the last reset; it can be resampled by images."""
        known = {truth["category_id"] for truth in self._truths}
        evaluation = evaluate_coco(
            {
                "images": self._images,
                "annotations": self._truths,
                "categories": [{"id": one} for one in sorted(known)],
            },
            [one for one in self._results if one["category_id"] in known],
            protocol=self._protocol,
        )
        scores = {
            name: score
            for name, score in evaluation.scores.items()
            if self._sized or name not in _SIZED
        }
        if self._key not in scores:
            needed = "image sizes" if self._key in _SIZED else "an IoU threshold of that name"
            raise EvaluationError(
                f"map_key asks for {self._key}, which needs {needed}. Leave map_key out, or use "
                "records with image/height and image/width and COCO's thresholds."
            )
        return _result(self._key, scores, evaluation)


class VocMap(_BoxMap):
    """Mean average precision with Pascal VOC's matching; see `voc.evaluate_voc`.

    Shapes and the other arguments are those of `CocoMap`.

    Args:
        anno_path: A label map; for labels that are names, VOC's own without one.
        iou_thrs: One threshold.
        map_points: 0 for the area under the curve, 11 as VOC did until 2009.
        map_key: LPOT's name of mAP, the only score there is.
        output_index_mapping: See `outputs.OutputReader`.
    """

    def __init__(
        self,
        anno_path: str | None = None,
        iou_thrs: str | float = 0.5,
        map_points: int = 0,
        map_key: str = "DetectionBoxes_Precision/mAP",
        output_index_mapping: Mapping[str, int] | None = None,
    ) -> None:
        if MAP_KEYS.get(map_key) != "mAP":
            raise ArgumentError(f"must be {next(iter(MAP_KEYS))}; got {map_key!r}.", "map_key")
        self._protocol = protocol(iou_thrs, map_points)
        if len(self._protocol.thresholds) != 1:
            raise ArgumentError(f"must be one number in (0, 1]; got {iou_thrs!r}.", "iou_thrs")
        super().__init__(VOC_NAMES, anno_path, output_index_mapping)

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self._images: list[VocImage] = []

    def _add(self, image: ImageLabels, found: Detections) -> None:
        self._images.append(VocImage.of(image, found))

    def evaluate(self) -> EvaluationResult:
        """Return mAP of all images since the last reset; it can be resampled by images."""
        evaluation = evaluate_voc(self._images, self._protocol)
        return _result("mAP", evaluation.scores, evaluation)


def _result(key: str, scores: dict[str, float], evaluation: CocoEvaluation) -> EvaluationResult:
    return EvaluationResult(
        score=scores[key],
        metric=key,
        samples=len(evaluation.image_ids),
        details=scores,
        resample=evaluation.resample if key == "mAP" else None,
    )


def coco_map_v1(
    anno_path: str | None = None,
    iou_thrs: str | float = 0.5,
    map_points: int = 0,
    map_key: str = "DetectionBoxes_Precision/mAP",
    output_index_mapping: Mapping[str, int] | None = None,
) -> CocoMap:
    """Return LPOT's ``mAP``: `CocoMap` with the area under the curve at IoU 0.5 by default."""
    return CocoMap(anno_path, iou_thrs, map_points, map_key, output_index_mapping)
