"""What the classification folders share: a network's input, its calibration and its score."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lpot_examples.data.class_records import (
    evaluation_records,
    open_calibration_records,
    open_records,
)
from lpot_examples.data.imagenet import imagenet_calibration, imagenet_images
from lpot_examples.data.loader import BatchLoader
from lpot_examples.data.preprocessing import image_transform
from lpot_examples.data.transforms import ImageTransform
from lpot_examples.evaluation.classification import TopKEvaluation
from lpot_examples.zoo.catalogue import find_model


@dataclass(frozen=True, kw_only=True)
class ImageClassifier:
    """A network that names the class of an image.

    Attributes:
        name: The topology's, for messages.
        preprocessing: How images reach it: a name of `data.preprocessing.PREPROCESSINGS`, or an
            `ImageTransform`, which has its own size.
        size: Height and width of its input, pixels.
        classes: How many classes the dataset has.
        background: Whether the network has a score for "none of them" before those of the classes,
            as networks of TF-Slim do: class i then has the score i + 1.
    """

    name: str
    preprocessing: str | ImageTransform
    size: int = 224
    classes: int = 1000
    background: bool = False

    @classmethod
    def of_catalogue(cls, name: str) -> ImageClassifier:
        """Return a classifier of the catalogue, where its input is laid down.

        Raises:
            ModelError: If the catalogue has none of that name.
        """
        model = find_model(name)
        return cls(
            name=name,
            preprocessing=model.preprocessing,
            size=model.image_size or cls.size,
            background=model.background,
        )

    @cached_property
    def transform(self) -> ImageTransform:
        """What turns an image file into the network's input."""
        if isinstance(self.preprocessing, ImageTransform):
            return self.preprocessing
        return image_transform(self.preprocessing, size=self.size)

    def calibration(self, dataset_location: Path | None, *, batch_size: int = 1) -> BatchLoader:
        """Return the calibration batches of a dataset.

        Args:
            dataset_location: See `data.class_records` for records, else
                `data.imagenet.imagenet_calibration`.
            batch_size: Images per batch.

        Raises:
            DataError: If the dataset is missing or inconsistent.
        """
        if dataset_location is not None and evaluation_records(dataset_location):
            return open_calibration_records(
                dataset_location, self.transform, batch_size, classes=self.classes
            )
        samples = imagenet_calibration(dataset_location, topology=self.name, classes=self.classes)
        return BatchLoader(samples, self.transform, batch_size)

    def evaluation(
        self, dataset_location: Path | None, *, batch_size: int = 8, limit: int | None = None
    ) -> TopKEvaluation:
        """Return the top-1 (and top-5) accuracy on a dataset.

        Args:
            dataset_location: See `data.class_records` for records, else
                `data.imagenet.imagenet_images`.
            batch_size: Images per batch.
            limit: Only the first images; all when None.

        Raises:
            DataError: If the dataset is missing or inconsistent.
        """
        batches = self._evaluated(dataset_location, batch_size, limit)
        return TopKEvaluation(
            batches,
            samples=len(batches.samples),
            classes=self.classes + self.background,
            label_shift=int(self.background),
        )

    def _evaluated(self, location: Path | None, batch_size: int, limit: int | None) -> BatchLoader:
        if location is not None and evaluation_records(location):
            return open_records(
                location, self.transform, batch_size, classes=self.classes, limit=limit
            )
        samples = imagenet_images(location, topology=self.name, classes=self.classes, limit=limit)
        return BatchLoader(samples, self.transform, batch_size)
