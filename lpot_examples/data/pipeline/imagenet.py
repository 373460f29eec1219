"""The usual combinations of transforms for ImageNet networks.

They follow LPOT 1.6, ``lpot/experimental/data/transforms/imagenet_transform.py``, with resizing as
``tf.image.resize``.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from lpot_examples.data.pipeline.arguments import (
    AboveZero,
    Flag,
    Floats,
    Fraction,
    Interpolation,
    Number,
    Positive,
)
from lpot_examples.data.pipeline.arithmetic import converted, per_channel
from lpot_examples.data.pipeline.geometry import anywhere, centre
from lpot_examples.data.pipeline.labels import DetectionLabel
from lpot_examples.data.pipeline.resize import resize
from lpot_examples.data.pipeline.transform import Context, Image, Transform, cut
from lpot_examples.spec.fields import one_of


class ResizeCropImagenet(Transform):
    """Resizes the short side to ``resize_side``, crops, and gives ``(image - mean_value) * scale``.

    Images have their channels last; ``subpixels`` is the order of the result.
    """

    height: Positive = Field(examples=[224])
    width: Positive = Field(examples=[224])
    random_crop: Flag = False
    resize_side: Positive = 256
    resize_method: Interpolation = "bilinear"
    random_flip_left_right: Flag = False
    mean_value: Floats = (0.0, 0.0, 0.0)
    scale: Number = 1.0
    data_format: Annotated[str, BeforeValidator(one_of(("channels_last",)))] = "channels_last"
    subpixels: Annotated[str, BeforeValidator(one_of(("RGB", "BGR")))] = "RGB"

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return a float32 image [height, width, channels]."""
        sides = np.asarray(image.shape[:2], dtype=np.float32)
        scaled = np.rint(sides * (np.float32(self.resize_side) / sides.min()))
        image = image[..., ::-1] if self.subpixels == "BGR" else image
        image = resize(image, (int(scaled[0]), int(scaled[1])), self.resize_method)
        size, name, dice = (self.height, self.width), "ResizeCropImagenet", context.dice()
        if self.random_crop:
            image, label = anywhere(image, label, size=size, name=name, dice=dice)
        else:
            image, label = centre(image, label, size=size, name=name)
        if self.random_flip_left_right and dice.random() > 0.5:
            image = image[:, ::-1]
            label = (
                label.mirrored(horizontally=True) if isinstance(label, DetectionLabel) else label
            )
        means = per_channel(image, self.mean_value, name="ResizeCropImagenet.mean_value")
        return (image.astype(np.float32) - means) * np.float32(self.scale), label


class BilinearImagenet(Transform):
    """Resizes the middle of an image and gives ``((2x - 1) - mean_value) * scale``, x in 0 to 1.

    ``central_fraction`` is the share of height and width that is kept; 0 keeps all.
    """

    height: Positive = Field(examples=[224])
    width: Positive = Field(examples=[224])
    central_fraction: Fraction = 0.875
    mean_value: Floats = (0.0, 0.0, 0.0)
    scale: Number = 1.0

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return a float32 image [height, width, channels]."""
        image = converted(image, np.dtype(np.float32))
        if self.central_fraction:
            # Rounded as tf.image.central_crop does.
            rows, columns = image.shape[:2]
            top = int((rows - rows * self.central_fraction) / 2)
            left = int((columns - columns * self.central_fraction) / 2)
            size = (rows - 2 * top, columns - 2 * left)
            image, label = cut(image, label, top=top, left=left, size=size, name="BilinearImagenet")
        image = resize(image, (self.height, self.width))
        image = (image - np.float32(0.5)) * np.float32(2)
        means = per_channel(image, self.mean_value, name="BilinearImagenet.mean_value")
        return (image - means) * np.float32(self.scale), label


class ResizeWithAspectRatio(Transform):
    """Resizes until a crop of ``height`` × ``width`` is ``scale`` per cent; averages areas.

    LPOT has it for ONNX alone, with OpenCV's INTER_AREA.
    """

    height: Positive = Field(examples=[224])
    width: Positive = Field(examples=[224])
    scale: AboveZero = 87.5

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return a float32 image."""
        rows, columns = image.shape[:2]
        height, width = int(100 * self.height / self.scale), int(100 * self.width / self.scale)
        if rows > columns:
            height = int(height * rows / columns)
        else:
            width = int(width * columns / rows)
        return resize(image, (height, width), "area"), label
