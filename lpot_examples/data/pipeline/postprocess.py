"""Postprocessing by LPOT's names: what is done to outputs and labels before the metric."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator

from lpot_examples.data.pipeline.arguments import Arguments
from lpot_examples.errors import DataError
from lpot_examples.spec.fields import whole


class Postprocess(Arguments):
    """A function of a batch's outputs and labels."""

    @abstractmethod
    def __call__(self, sample: tuple[Any, Any]) -> tuple[Any, Any]:
        """Return outputs and labels.

        Raises:
            DataError: If they do not fit.
        """


class LabelShift(Postprocess):
    """Subtracts ``label_shift`` from the labels.

    1 is for records whose class 0 is background and networks that do not know it.
    """

    label_shift: Annotated[int, BeforeValidator(whole(-(1 << 31)))] = 0

    def __call__(self, sample: tuple[Any, Any]) -> tuple[Any, Any]:
        """Return the outputs as they are, and the shifted labels."""
        outputs, labels = sample
        array = np.asarray(labels)
        if array.dtype.kind not in "iu":
            raise DataError(
                f"LabelShift needs labels that are whole numbers; they are {array.dtype.name}."
            )
        return outputs, array - self.label_shift
