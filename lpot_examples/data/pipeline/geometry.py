"""Transforms that crop, flip and resize.

They follow LPOT 1.6, ``lpot/experimental/data/transforms/transform.py``, in what it does to
TensorFlow's tensors; docs/dataloaders.md lists the differences. Boxes of a `DetectionLabel` follow
the image.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from lpot_examples.data.pipeline.arguments import (
    Flag,
    Interpolation,
    NotNegative,
    Number,
    Positive,
    Range,
    Size,
    to_size,
)
from lpot_examples.data.pipeline.labels import DetectionLabel
from lpot_examples.data.pipeline.resize import resize
from lpot_examples.data.pipeline.transform import Context, Image, Transform, cut
from lpot_examples.errors import DataError
from lpot_examples.spec.fields import one_of, refuse, show


class Resize(Transform):
    """Resizes to ``size``, aspect not kept, as ``tf.image.resize``; see `resize`."""

    size: Size = Field(examples=[224])
    interpolation: Interpolation = "bilinear"

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return a float32 image; with ``nearest`` the dtype stays."""
        return resize(image, self.size, self.interpolation), label


class CenterCrop(Transform):
    """Takes the middle of an image; of an odd remainder the larger part is cut at the end."""

    size: Size = Field(examples=[224])

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return the part, [*size, channels]."""
        return centre(image, label, size=self.size, name="CenterCrop")


def centre(image: Image, label: Any, *, size: tuple[int, int], name: str) -> tuple[Image, Any]:
    """Return the middle of an image.

    Raises:
        DataError: If the image is smaller.
    """
    _check_room(image, size, name)
    top, left = ((have - want) // 2 for have, want in zip(image.shape, size, strict=False))
    return cut(image, label, top=top, left=left, size=size, name=name)


def anywhere(
    image: Image, label: Any, *, size: tuple[int, int], name: str, dice: np.random.Generator
) -> tuple[Image, Any]:
    """Return a part of an image at a random place.

    Raises:
        DataError: If the image is smaller.
    """
    _check_room(image, size, name)
    top, left = (
        int(dice.integers(have - want + 1)) for have, want in zip(image.shape, size, strict=False)
    )
    return cut(image, label, top=top, left=left, size=size, name=name)


def _check_room(image: Image, size: tuple[int, int], name: str) -> None:
    if image.shape[0] < size[0] or image.shape[1] < size[1]:
        raise DataError(
            f"{name} needs an image of at least {size[0]}x{size[1]} pixels (height, width); this "
            f"one has {image.shape[0]}x{image.shape[1]}. Put Resize before it."
        )


def _square(value: object) -> int:
    height, width = to_size(value)
    return height if height == width else refuse(f"must be a square; got {show(value)}.")


class PaddedCenterCrop(Transform):
    """Takes the central square with ``size / (size + crop_padding)`` of the short side."""

    size: Annotated[int, BeforeValidator(_square)] = Field(examples=[224])
    crop_padding: NotNegative = 0

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return the square at the resolution of the image."""
        height, width = image.shape[:2]
        side = int(self.size / (self.size + self.crop_padding) * min(height, width))
        top, left = (height - side + 1) // 2, (width - side + 1) // 2
        return cut(image, label, top=top, left=left, size=(side, side), name="PaddedCenterCrop")


class RandomCrop(Transform):
    """Takes a part at a random place."""

    size: Size = Field(examples=[224])

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return the part, [*size, channels]."""
        return anywhere(image, label, size=self.size, name="RandomCrop", dice=context.dice())


class RandomResizedCrop(Transform):
    """Takes a part of random area and aspect, and resizes it.

    ``scale`` is the range of its share of the area, ``ratio`` that of width over height. After ten
    parts that do not fit it takes the middle.
    """

    size: Size = Field(examples=[224])
    scale: Range = (0.08, 1.0)
    ratio: Range = (3 / 4, 4 / 3)
    interpolation: Annotated[str, BeforeValidator(one_of(("bilinear", "nearest")))] = "bilinear"

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return an image [*size, channels]."""
        height, width = image.shape[:2]
        top, left, *size = self._part(height, width, context.dice())
        part, label = cut(
            image, label, top=top, left=left, size=(size[0], size[1]), name="RandomResizedCrop"
        )
        return resize(part, self.size, self.interpolation), label

    def _part(
        self, height: int, width: int, dice: np.random.Generator
    ) -> tuple[int, int, int, int]:
        for _ in range(10):
            area = dice.uniform(*self.scale) * height * width
            aspect = np.exp(dice.uniform(*np.log(self.ratio)))
            across, down = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
            if 0 < across < width and 0 < down < height:
                left, top = int(dice.integers(width - across)), int(dice.integers(height - down))
                return top, left, down, across
        low, high = self.ratio
        across = min(width, max(1, round(height * high)))
        down = min(height, max(1, round(width / low)))
        return (height - down) // 2, (width - across) // 2, down, across


class _RandomFlip(Transform):
    def _flip(self, image: Image, label: Any, *, context: Context, axis: int) -> tuple[Image, Any]:
        if context.dice().random() <= 0.5:
            return image, label
        if isinstance(label, DetectionLabel):
            label = label.mirrored(horizontally=axis == 1)
        return np.flip(image, axis), label


class RandomHorizontalFlip(_RandomFlip):
    """Mirrors half of the images, left and right."""

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return the image or its mirror image."""
        return self._flip(image, label, context=context, axis=1)


class RandomVerticalFlip(_RandomFlip):
    """Turns half of the images upside down."""

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return the image or its mirror image."""
        return self._flip(image, label, context=context, axis=0)


class CropToBoundingBox(Transform):
    """Takes the part at a given place, pixels."""

    offset_height: NotNegative = Field(examples=[0])
    offset_width: NotNegative = Field(examples=[0])
    target_height: Positive = Field(examples=[224])
    target_width: Positive = Field(examples=[224])

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return the part."""
        return cut(
            image,
            label,
            top=self.offset_height,
            left=self.offset_width,
            size=(self.target_height, self.target_width),
            name="CropToBoundingBox",
        )


class CropResize(Transform):
    """Takes the part at a given place, pixels, and resizes it."""

    x: NotNegative = Field(examples=[0])
    y: NotNegative = Field(examples=[0])
    width: Positive = Field(examples=[224])
    height: Positive = Field(examples=[224])
    size: Size = Field(examples=[224])
    interpolation: Interpolation = "bilinear"

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return an image [*size, channels]."""
        size = (self.height, self.width)
        part, label = cut(image, label, top=self.y, left=self.x, size=size, name="CropResize")
        return resize(part, self.size, self.interpolation), label


class ResizeWithRatio(Transform):
    """Enlarges until the short side is ``min_dim``, within a long side of ``max_dim``.

    0 switches either off. An image is made smaller only where its long side demands it. With
    ``padding`` it is put into the middle of a square of ``max_dim``, the rest filled with
    ``constant_value``.
    """

    min_dim: NotNegative = 800
    max_dim: NotNegative = 1365
    padding: Flag = False
    constant_value: Number = 0.0

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return a float32 image."""
        sides = np.asarray(image.shape[:2], dtype=np.float32)
        scale = np.float32(1)
        if self.min_dim:
            scale = max(scale, np.float32(self.min_dim) / sides.min())
        if self.max_dim and np.rint(sides.max() * scale) > self.max_dim:
            scale = np.float32(self.max_dim) / sides.max()
        height, width = (max(1, int(side)) for side in np.rint(sides * scale))
        image = resize(image, (height, width))
        return self._padded(image, label) if self.padding else (image, label)

    def _padded(self, image: Image, label: Any) -> tuple[Image, Any]:
        height, width = image.shape[:2]
        side = self.max_dim
        if not side:
            raise DataError("ResizeWithRatio pads to a square of max_dim; max_dim is 0. Give it.")
        top, left = (side - height) // 2, (side - width) // 2
        around = [(top, side - height - top), (left, side - width - left), (0, 0)]
        padded = np.pad(image, around[: image.ndim], constant_values=self.constant_value)
        if isinstance(label, DetectionLabel):
            window = (-top / height, -left / width, (side - top) / height, (side - left) / width)
            label = label.windowed(window)
        return padded, label
