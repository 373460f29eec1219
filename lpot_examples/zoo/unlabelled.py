"""Networks of which no labels are known: their inputs, and how far they agree with fp32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.data.arrays import NamedBatches, read_arrays
from lpot_examples.data.images import ImageLoader
from lpot_examples.data.loader import BatchLoader, Sample
from lpot_examples.data.transforms import ImageTransform
from lpot_examples.data.unlabelled import unlabelled_calibration, unlabelled_images
from lpot_examples.errors import DataError
from lpot_examples.evaluation.agreement import AgreementEvaluation

Reference = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class ImageNetwork:
    """A network on images, whatever it makes of them.

    Attributes:
        name: The topology's, for messages.
        transform: How images reach it; None for bytes in RGB, each image at its own size.
    """

    name: str
    transform: ImageTransform | None

    def calibration(
        self, dataset_location: Path | None, *, batch_size: int = 1
    ) -> BatchLoader | ImageLoader:
        """Return the calibration batches of a dataset.

        Raises:
            DataError: If it holds no image, see `data.unlabelled`.
        """
        return self._batches(
            unlabelled_calibration(dataset_location, topology=self.name), batch_size
        )

    def agreement(
        self,
        dataset_location: Path | None,
        *,
        reference: Reference,
        batch_size: int = 1,
        limit: int | None = None,
    ) -> AgreementEvaluation:
        """Return the agreement with the fp32 network on a dataset's images.

        Args:
            dataset_location: A folder of images, see `data.unlabelled`.
            reference: The fp32 network.
            batch_size: Images per batch.
            limit: Only the first images; all when None.

        Raises:
            DataError: If there is no image.
        """
        samples = unlabelled_images(dataset_location, topology=self.name, limit=limit)
        return AgreementEvaluation(
            self._batches(samples, batch_size), samples=len(samples), reference=reference
        )

    def _batches(self, samples: tuple[Sample, ...], batch_size: int) -> BatchLoader | ImageLoader:
        if self.transform is None:
            return ImageLoader(samples, batch_size)
        return BatchLoader(samples, self.transform, batch_size)


@dataclass(frozen=True, kw_only=True)
class ArrayNetwork:
    """A network with several inputs, or one that is no image.

    Attributes:
        name: The topology's, for messages.
        inputs: The names of its inputs.
    """

    name: str
    inputs: tuple[str, ...]

    def calibration(self, dataset_location: Path | None, *, batch_size: int = 1) -> NamedBatches:
        """Return all samples of a NumPy file, see `data.arrays.read_arrays`.

        Raises:
            DataError: If the file cannot be used.
        """
        arrays = read_arrays(dataset_location, self.inputs, topology=self.name)
        return NamedBatches(arrays, batch_size=batch_size)

    def agreement(
        self,
        dataset_location: Path | None,
        *,
        reference: Reference,
        batch_size: int = 1,
        limit: int | None = None,
    ) -> AgreementEvaluation:
        """Return the agreement with the fp32 network on the samples of a NumPy file.

        Args:
            dataset_location: The file, see `data.arrays.read_arrays`.
            reference: The fp32 network.
            batch_size: Samples per batch.
            limit: Only the first samples; all when None.

        Raises:
            DataError: If the file cannot be used.
        """
        if limit is not None and limit < 1:
            raise DataError(f"The number of samples to evaluate must be at least 1; it is {limit}.")
        arrays = read_arrays(dataset_location, self.inputs, topology=self.name)
        few = {name: array[:limit] for name, array in arrays.items()}
        batches = NamedBatches(few, batch_size=batch_size)
        return AgreementEvaluation(batches, samples=batches.samples, reference=reference)
