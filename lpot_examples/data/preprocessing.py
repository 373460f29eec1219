"""How images reach the networks of the well-known collections, by name.

A preprocessing is a geometry (which part of the image, brought to which size) and an arithmetic
(what becomes of a pixel). Networks of one collection share them, so they have a name here and are
written down once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from lpot_examples.data.transforms import ImageTransform
from lpot_examples.errors import DataError, nearest

# The size stands for the one that a network takes.
_CENTRE = ImageTransform(height=224, width=224, crop=0.875)
_CAFFE = replace(_CENTRE, channels="BGR")


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """A named preprocessing.

    Attributes:
        transform: The preprocessing at 224×224 pixels.
        summary: What it does, in a line.
        source: Where that is laid down.
    """

    transform: ImageTransform
    summary: str
    source: str


_KERAS = (
    "https://github.com/keras-team/keras/blob/master/keras/src/applications/imagenet_utils.py"
    " (arithmetic); single centre crop"
)
_SLIM = "https://github.com/tensorflow/models/blob/master/research/slim/preprocessing/"

PREPROCESSINGS: Mapping[str, Preprocessing] = MappingProxyType(
    {
        "caffe": Preprocessing(
            transform=replace(_CAFFE, mean=(103.939, 116.779, 123.68)),
            summary="centre crop of 0.875 of the short side, BGR, minus (103.939, 116.779, 123.68)",
            source=_KERAS,
        ),
        "tf": Preprocessing(
            transform=replace(_CENTRE, mean=(127.5, 127.5, 127.5), scale=1 / 127.5),
            summary="centre crop of 0.875 of the short side, RGB, x / 127.5 − 1",
            source=_KERAS,
        ),
        "torch": Preprocessing(
            transform=replace(
                _CENTRE,
                mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
                scale=(1 / (0.229 * 255), 1 / (0.224 * 255), 1 / (0.225 * 255)),
            ),
            summary="centre crop of 0.875 of the short side, RGB, (x / 255 − (0.485, 0.456, 0.406))"
            " / (0.229, 0.224, 0.225)",
            source=_KERAS,
        ),
        "raw": Preprocessing(
            transform=replace(_CENTRE, interpolation="bicubic"),
            summary="centre crop of 0.875 of the short side, bicubic, RGB, 0 to 255",
            source="https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/"
            "preprocessing.py (geometry); the network scales its input itself",
        ),
        "inception": Preprocessing(
            transform=replace(_CENTRE, stretch=True, mean=(127.5, 127.5, 127.5), scale=1 / 127.5),
            summary="central 0.875 of height and width, aspect not kept, RGB, x / 127.5 − 1",
            source=f"{_SLIM}inception_preprocessing.py",
        ),
        "vgg": Preprocessing(
            transform=replace(_CENTRE, mean=(123.68, 116.78, 103.94)),
            summary="centre crop of 0.875 of the short side, RGB, minus (123.68, 116.78, 103.94)",
            source=f"{_SLIM}vgg_preprocessing.py",
        ),
        "squeezenet": Preprocessing(
            transform=replace(_CAFFE, mean=(104.0, 117.0, 123.0)),
            summary="centre crop of 0.875 of the short side, BGR, minus (104, 117, 123)",
            source="https://github.com/forresti/SqueezeNet/blob/master/SqueezeNet_v1.0/"
            "train_val.prototxt",
        ),
    }
)
"""Name → preprocessing. Images are resized by Pillow, which averages where it shrinks; TensorFlow's
own resizing, by which the collections' figures were measured, does not."""


def image_transform(name: str, *, size: int) -> ImageTransform:
    """Return a named preprocessing for a network's input size.

    Args:
        name: A key of `PREPROCESSINGS`.
        size: Height and width of the input, pixels.

    Raises:
        DataError: If there is no preprocessing of that name; the message lists all.
    """
    found = PREPROCESSINGS.get(name)
    if found is None:
        raise DataError(
            f"The preprocessing must be one of {', '.join(PREPROCESSINGS)}; it is '{name}'."
            f"{nearest(name, PREPROCESSINGS)} Another one is an ImageTransform."
        )
    return replace(found.transform, height=size, width=size)
