"""Networks of which no labels are known: their inputs, and how far they agree with fp32."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.data.arrays import NamedBatches, read_arrays
from lpot_examples.data.images import ImageLoader
from lpot_examples.data.listing import check_limit
from lpot_examples.data.loader import BatchLoader, Sample
from lpot_examples.data.transforms import ImageTransform
from lpot_examples.data.unlabelled import unlabelled_calibration, unlabelled_images
from lpot_examples.evaluation.agreement import AgreementEvaluation

Reference = Callable[[Any], Any]


Images = BatchLoader | ImageLoader


@dataclass(frozen=True, kw_only=True)
class _Network(ABC):
    name: str

    def agreement(
        self,
        dataset_location: Path | None,
        *,
        reference: Reference,
        batch_size: int = 1,
        limit: int | None = None,
    ) -> AgreementEvaluation:
        """Return the agreement with the fp32 network on a dataset.

        Args:
            dataset_location: The dataset, see the class.
            reference: The fp32 network.
            batch_size: Samples per batch.
            limit: Only the first samples; all when None.

        Raises:
            DataError: If there is no sample, or the dataset cannot be used.
        """
        batches, samples = self._evaluated(dataset_location, batch_size, limit)
        return AgreementEvaluation(batches, samples=samples, reference=reference)

    @abstractmethod
    def _evaluated(
        self, location: Path | None, batch_size: int, limit: int | None
    ) -> tuple[Images | NamedBatches, int]:
        """Return the batches to compare on, and how many samples they hold."""


@dataclass(frozen=True, kw_only=True)
class ImageNetwork(_Network):
    """A network on images, whatever it makes of them; its dataset is as in `data.unlabelled`.

    Attributes:
        name: The topology's, for messages.
        transform: How images reach it; None for bytes in RGB, each image at its own size.
    """

    transform: ImageTransform | None

    def calibration(self, dataset_location: Path | None, *, batch_size: int = 1) -> Images:
        """Return the calibration batches of a dataset.

        Raises:
            DataError: If it holds no image.
        """
        return self._batches(
            unlabelled_calibration(dataset_location, topology=self.name), batch_size
        )

    def _evaluated(
        self, location: Path | None, batch_size: int, limit: int | None
    ) -> tuple[Images, int]:
        samples = unlabelled_images(location, topology=self.name, limit=limit)
        return self._batches(samples, batch_size), len(samples)

    def _batches(self, samples: tuple[Sample, ...], batch_size: int) -> Images:
        if self.transform is None:
            return ImageLoader(samples, batch_size)
        return BatchLoader(samples, self.transform, batch_size)


@dataclass(frozen=True, kw_only=True)
class ArrayNetwork(_Network):
    """A network with several inputs, or one that is no image.

    Its dataset is a NumPy file, see `data.arrays.read_arrays`.

    Attributes:
        name: The topology's, for messages.
        inputs: The names of its inputs.
    """

    inputs: tuple[str, ...]

    def calibration(self, dataset_location: Path | None, *, batch_size: int = 1) -> NamedBatches:
        """Return all samples of the file.

        Raises:
            DataError: If the file cannot be used.
        """
        arrays = read_arrays(dataset_location, self.inputs, topology=self.name)
        return NamedBatches(arrays, batch_size=batch_size)

    def _evaluated(
        self, location: Path | None, batch_size: int, limit: int | None
    ) -> tuple[NamedBatches, int]:
        check_limit(limit)
        arrays = read_arrays(location, self.inputs, topology=self.name)
        few = {name: array[:limit] for name, array in arrays.items()}
        batches = NamedBatches(few, batch_size=batch_size)
        return batches, batches.samples
