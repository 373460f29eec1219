"""What the folders of COCO detectors share: calibration images and the score."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lpot_examples.data.coco import coco_calibration, coco_images
from lpot_examples.data.images import ImageLoader, by_size
from lpot_examples.data.listing import image_samples
from lpot_examples.data.loader import Sample
from lpot_examples.data.segmentations import check_segmentations
from lpot_examples.evaluation.zoo_detection import ZooDetectionEvaluation
from lpot_examples.zoo.coco_records import annotated_records, calibration_records, is_records

_TRAINING, _VALIDATION = "train2017", "val2017"


@dataclass(frozen=True, kw_only=True)
class CocoDetector:
    """A detector of TensorFlow's model zoos: it takes photographs as bytes, at their own size.

    Attributes:
        name: The topology's, for messages.
        masks: Whether it gives masks, which are then scored besides boxes.
    """

    name: str
    masks: bool = False

    def calibration(self, dataset_location: Path | None, *, batch_size: int = 1) -> ImageLoader:
        """Return the calibration images of a dataset: those of ``train2017/`` by name.

        Where that folder is missing (it takes 18 GB), those of ``val2017/`` in an order drawn by
        their names, always the same one. These are evaluated as well; no labels are used. Records
        are treated likewise.

        Args:
            dataset_location: The folder in COCO layout, or records (`data.records.reader.shards`).
            batch_size: Images per batch at most; only neighbours of equal size share one.

        Raises:
            DataError: If there are no images.
        """
        if dataset_location is not None and is_records(dataset_location):
            return calibration_records(dataset_location, batch_size=batch_size)
        return ImageLoader(self._samples(dataset_location), batch_size)

    def evaluation(
        self, dataset_location: Path | None, *, batch_size: int = 1, limit: int | None = None
    ) -> ZooDetectionEvaluation:
        """Return COCO mAP on ``val2017/``, or on records of it.

        Args:
            dataset_location: The folder in COCO layout, or records (`data.records.reader.shards`).
            batch_size: Images per batch at most. Only images of equal size share one, so the score
                does not depend on it.
            limit: Only the first images in the order of their ids; all when None.

        Raises:
            DataError: If the dataset is missing or inconsistent, or lacks the masks needed.
        """
        if dataset_location is not None and is_records(dataset_location):
            records = annotated_records(
                dataset_location, batch_size=batch_size, limit=limit, masks=self.masks
            )
            return ZooDetectionEvaluation(
                records.images, ground_truth=records.ground_truth, masks=self.masks
            )
        images = coco_images(dataset_location, topology=self.name, limit=limit)
        if self.masks:
            check_segmentations(images.ground_truth, source=str(dataset_location))
        samples = by_size(images.samples) if batch_size > 1 else images.samples
        return ZooDetectionEvaluation(
            ImageLoader(samples, batch_size), ground_truth=images.ground_truth, masks=self.masks
        )

    def _samples(self, root: Path | None) -> tuple[Sample, ...]:
        if root is not None and not image_samples(root / _TRAINING):
            spare = image_samples(root / _VALIDATION)
            if spare:
                return tuple(sorted(spare, key=_drawn))
        return coco_calibration(root, topology=self.name, split=_TRAINING)


def _drawn(sample: Sample) -> str:
    return hashlib.sha256(sample.path.name.encode()).hexdigest()
