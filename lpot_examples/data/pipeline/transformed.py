"""A data set behind its filters and transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.pipeline.arithmetic import as_type
from lpot_examples.data.pipeline.dataset import Samples
from lpot_examples.data.pipeline.transform import DEFAULT_SEED, Context, Transform
from lpot_examples.errors import DataError

Sample = tuple[Any, Any]
AnyTransform = Callable[[Sample], Sample]
AnyFilter = Callable[[Any, Any], Any]


class Transformed(Samples):
    """The samples that filters take, as transforms make them; the same at every reading.

    Args:
        dataset: The samples.
        transforms: Applied in this order: `Transform`, or any function of ``(image, label)``.
        filters: Functions of None and a label; all of them must agree.
        seed: What random transforms depend on, with the sample's number and their position.
        dtype: The type of images; as the transforms leave them when None.
        where: The dataloader's key, for messages.
    """

    def __init__(
        self,
        dataset: Samples,
        transforms: Sequence[AnyTransform] = (),
        *,
        filters: Sequence[AnyFilter] = (),
        seed: int = DEFAULT_SEED,
        dtype: Any = None,
        where: str = "dataloader",
    ) -> None:
        self._dataset = dataset
        self._transforms = tuple(transforms)
        self._filters = tuple(filters)
        self._seed = seed
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._where = where

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """The numbers of the samples that are taken. With filters, every label is read once.

        Raises:
            DataError: If none is taken.
        """
        rows = np.arange(len(self._dataset))
        if self._filters:
            rows = np.asarray([row for row in rows if self._kept(int(row))], dtype=np.int64)
        if not len(rows):
            raise DataError(
                f"{self._where}.filter takes none of the {len(self._dataset)} samples. Change it "
                "or leave it out."
            )
        return rows

    def __len__(self) -> int:
        """How many samples are taken."""
        return len(self.rows)

    def load(self, row: int) -> Sample:
        """Return a transformed sample.

        Raises:
            DataError: If it cannot be read, or a transform does not fit; names the sample.
        """
        number = int(self.rows[row])
        image, label = self._dataset.load(number)
        for position, transform in enumerate(self._transforms):
            seed = (self._seed, number, position)
            context = Context(seed=seed, tensors=self._dataset.tensors)
            try:
                image, label = _applied(transform, image, label, context)
            except DataError as error:
                raise DataError(f"{self._dataset.place(number)}: {error}") from None
        if self._dtype is not None and isinstance(image, np.ndarray):
            image = as_type(image, self._dtype)
        return image, label

    def label(self, row: int) -> Any:
        """Return the label before the transforms."""
        return self._dataset.label(int(self.rows[row]))

    def place(self, row: int) -> str:
        """Return what the sample is called in messages."""
        return self._dataset.place(int(self.rows[row]))

    def collate(self, samples: list[Sample]) -> Sample | None:
        """Return what the data set makes of a batch."""
        return self._dataset.collate(samples)

    def _kept(self, row: int) -> bool:
        label = self._dataset.label(row)
        return all(bool(keeps(None, label)) for keeps in self._filters)


def _applied(transform: AnyTransform, image: Any, label: Any, context: Context) -> Sample:
    if not isinstance(transform, Transform):
        image, label = transform((image, label))
        return image, label
    if isinstance(image, list):
        raise DataError(
            f"{type(transform).__name__} is for one image; this data set gives {len(image)} "
            "inputs a sample. Leave the transform out."
        )
    return transform.apply(image, label, context)
