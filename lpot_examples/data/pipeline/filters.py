"""Filters by LPOT's names: which samples of a data set are taken."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from lpot_examples.data.pipeline.arguments import Arguments, Positive
from lpot_examples.data.pipeline.labels import DetectionLabel
from lpot_examples.errors import DataError


class Filter(Arguments):
    """A choice of samples by their labels."""

    @abstractmethod
    def keeps(self, label: Any) -> bool:
        """Tell whether a sample with this label is taken.

        Raises:
            DataError: If the filter is not for such labels.
        """

    def __call__(self, image: Any, label: Any) -> bool:
        """Tell whether a sample is taken, as LPOT's filters are called."""
        return self.keeps(label)


class LabelBalance(Filter):
    """Takes the images with exactly ``size`` objects, as LPOT's COCO data sets do."""

    size: Positive = 1

    def keeps(self, label: Any) -> bool:
        """Tell whether an image has that many objects."""
        if not isinstance(label, DetectionLabel):
            raise DataError(
                "LabelBalance counts the objects of an image; the data set must be COCORecord or "
                "another with boxes. Leave the filter out."
            )
        return len(label) == self.size
