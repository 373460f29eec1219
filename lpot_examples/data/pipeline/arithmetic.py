"""Transforms that change the values, type or layout of an image.

They follow LPOT 1.6, ``lpot/experimental/data/transforms/transform.py`` and
``imagenet_transform.py``; docs/dataloaders.md lists the differences.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from lpot_examples.data.pipeline.arguments import AboveZero, Floats
from lpot_examples.data.pipeline.transform import Context, Image, Transform
from lpot_examples.errors import DataError
from lpot_examples.spec.fields import items, one_of, refuse, show, whole

_CAST = (
    *("float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32"),
    *("int64", "uint64", "bool"),
)
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def _deviations(value: object) -> tuple[float, ...]:
    """Accept standard deviations; LPOT's limit is 1e-6."""
    from lpot_examples.data.pipeline.arguments import to_floats

    found = to_floats(value)
    return found if min(found) >= 1e-6 else refuse(f"must be above 1e-6; got {show(value)}.")


class Normalize(Transform):
    """``(image - mean) / std``; one value for all channels, or one for each."""

    mean: Floats = (0.0,)
    std: Annotated[tuple[float, ...], BeforeValidator(_deviations)] = (1.0,)

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return a float32 image."""
        mean = per_channel(image, self.mean, name="Normalize.mean")
        std = per_channel(image, self.std, name="Normalize.std")
        return (image.astype(np.float32) - mean) / std, label


def per_channel(image: Image, values: tuple[float, ...], *, name: str) -> Image:
    """Return one value, or one for each channel, as float32.

    Raises:
        DataError: If there are as many values as neither.
    """
    if len(values) not in (1, image.shape[-1]):
        raise DataError(
            f"{name} must have one value, or one for each of the {image.shape[-1]} channels of an "
            f"image {list(image.shape)}; it has {len(values)}. Normalize before Transpose."
        )
    return np.asarray(values, dtype=np.float32)


class Rescale(Transform):
    """Divides by 255."""

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return a float32 image."""
        return image.astype(np.float32) / np.float32(255), label


class Cast(Transform):
    """Changes the type.

    As in LPOT, images of records are scaled as ``tf.image.convert_image_dtype`` does (whole numbers
    use their range, fractions 0 to 1), and those of other data sets keep their values.
    """

    dtype: Annotated[str, BeforeValidator(one_of(_CAST))] = "float32"

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return an image of the type."""
        wanted = np.dtype(self.dtype)
        if not context.tensors or "b" in (wanted.kind, image.dtype.kind):
            return image.astype(wanted), label
        return converted(image, wanted), label


def converted(image: Image, wanted: np.dtype[Any]) -> Image:
    """Return what ``tf.image.convert_image_dtype`` makes of an image, without saturation.

    Raises:
        DataError: If fractions beyond 0 to 1 are to become whole numbers.
    """
    whole_from, whole_to = image.dtype.kind in "iu", wanted.kind in "iu"
    if image.dtype == wanted or not (whole_from or whole_to):
        return image.astype(wanted)
    if whole_from and not whole_to:
        return np.multiply(image, 1 / np.iinfo(image.dtype).max, dtype=wanted)
    if not whole_from:
        if image.size and (image.min() < 0 or image.max() > 1):
            raise DataError(
                f"Cast makes {wanted.name} of the range 0 to 1 of images from records, as LPOT "
                f"does; this one reaches from {image.min():g} to {image.max():g}. Leave Cast out: "
                "images are given to the network in the type that it takes."
            )
        return (image * np.float32(np.iinfo(wanted).max + 0.5)).astype(wanted)
    have, want = np.iinfo(image.dtype).max + 1, np.iinfo(wanted).max + 1
    if have > want:
        return (image // (have // want)).astype(wanted)
    return np.asarray(np.multiply(image, want // have, dtype=np.int64)).astype(wanted)


def _permutation(value: object) -> tuple[int, ...]:
    axis = whole(0)
    perm = tuple(axis(one) for one in items(value))
    if sorted(perm) != list(range(len(perm))):
        refuse(f"must name each axis once, such as [2, 0, 1]; got {show(value)}.")
    return perm


class Transpose(Transform):
    """Changes the order of the axes."""

    perm: Annotated[tuple[int, ...], BeforeValidator(_permutation)] = Field(examples=[[2, 0, 1]])

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return a view with the axes in the order ``perm``."""
        if image.ndim != len(self.perm):
            raise DataError(
                f"Transpose.perm must name the {image.ndim} axes of an image {list(image.shape)}; "
                f"it is {list(self.perm)}."
            )
        return image.transpose(self.perm), label


class AlignImageChannel(Transform):
    """Brings images to ``dim`` channels: repeats one, drops alpha, or makes grey of colour."""

    dim: Annotated[int, BeforeValidator(whole(1, 4))] = 3

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return an image [height, width, dim]."""
        image = image[..., None] if image.ndim == 2 else image
        have = image.shape[-1]
        if have == self.dim:
            return image, label
        if have == 1:
            return np.repeat(image, self.dim, axis=-1), label
        if (have, self.dim) == (4, 3):
            return image[..., :3], label
        if (have, self.dim) == (3, 1):
            grey = (image.astype(np.float32) @ _GREY)[..., None]
            return as_type(grey, image.dtype), label
        raise DataError(
            f"AlignImageChannel makes any number of channels of 1, 3 of 4, and 1 of 3; it cannot "
            f"make {self.dim} of {have}."
        )


def as_type(image: Image, dtype: np.dtype[Any]) -> Image:
    """Return an image in another type; whole numbers are rounded and kept within their range."""
    if dtype.kind in "iu" and image.dtype.kind == "f":
        limits = np.iinfo(dtype)
        return np.clip(np.rint(image), limits.min, limits.max).astype(dtype)
    return image.astype(dtype, copy=False)


class ToArray(Transform):
    """Makes an array of an image; images are arrays already."""

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return the image."""
        return image, label


class QuantizedInput(Transform):
    """Scales an image into eight bits, for networks that take these; without ``scale`` nothing."""

    dtype: Annotated[str, BeforeValidator(one_of(("int8", "uint8")))] = "int8"
    scale: AboveZero | None = None

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return ``image * scale`` (for uint8 plus 128), decimals cut off as TensorFlow does."""
        if self.scale is None:
            return image, label
        values = np.trunc(image * np.float32(self.scale) + (128 if self.dtype == "uint8" else 0))
        return as_type(values, np.dtype(self.dtype)), label
