"""What a transform is: validated arguments, and a function of an image and its label."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.pipeline.arguments import Arguments
from lpot_examples.data.pipeline.labels import DetectionLabel
from lpot_examples.errors import DataError

Image = NDArray[Any]
DEFAULT_SEED = 1978
"""LPOT's default of ``tuning.random_seed``."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a transform knows besides the sample.

    Attributes:
        seed: What its random choices depend on: the spec's seed, the sample, the transform's
            position.
        tensors: Whether LPOT's data set gives TensorFlow's tensors (records do) rather than NumPy
            arrays; `Cast` means different things for them.
    """

    seed: tuple[int, ...] = (DEFAULT_SEED,)
    tensors: bool = False

    def dice(self) -> np.random.Generator:
        """Return a generator that gives the same numbers at every pass."""
        return np.random.default_rng(self.seed)


class Transform(Arguments):
    """A transform of an image [height, width, channels] and its label."""

    @abstractmethod
    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return the new image and label; what is given is not written to.

        Raises:
            DataError: If the image does not fit.
        """

    def __call__(self, sample: tuple[Any, Any]) -> tuple[Any, Any]:
        """Transform ``(image, label)``, as LPOT's transforms are called."""
        image, label = sample
        return self.apply(np.asarray(image), label, Context())


def cut(
    image: Image, label: Any, *, top: int, left: int, size: tuple[int, int], name: str
) -> tuple[Image, Any]:
    """Return a part of an image; boxes of a `DetectionLabel` move with it.

    Args:
        image: [height, width] or [height, width, channels].
        label: Any label.
        top: First row.
        left: First column.
        size: (height, width) of the part, pixels.
        name: The transform that asks for it.

    Raises:
        DataError: If the part is not within the image.
    """
    height, width = image.shape[:2]
    bottom, right = top + size[0], left + size[1]
    if min(top, left) < 0 or bottom > height or right > width:
        raise DataError(
            f"{name} takes rows {top} to {bottom} and columns {left} to {right} of an image; this "
            f"one has {height}x{width} pixels. Make the part smaller, or put Resize before it."
        )
    if isinstance(label, DetectionLabel) and size != (height, width):
        window = (top / height, left / width, bottom / height, right / width)
        label = label.windowed(window)
    return image[top:bottom, left:right], label
