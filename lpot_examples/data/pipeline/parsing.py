"""From a ``tf.train.Example`` to an image and its label.

Feature names are those of TensorFlow's object detection API and of its ImageNet scripts. The parts
of LPOT are ``ParseDecodeImagenet``, ``ParseDecodeCoco`` and ``ParseDecodeVoc``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.pipeline.labels import DetectionLabel, identity
from lpot_examples.data.pipeline.transform import Context, Image, Transform
from lpot_examples.data.records.example import parse_example
from lpot_examples.data.transforms import decode_bytes
from lpot_examples.errors import DataError

Features = Mapping[str, Any]
_CORNERS = ("ymin", "xmin", "ymax", "xmax")
_MASK = "image/segmentation/class/encoded"


def decoded(features: Features, place: str) -> Image:
    """Return uint8 RGB [height, width, 3].

    Raises:
        DataError: If there is no image, or it cannot be decoded.
    """
    data = features.get("image/encoded")
    if not isinstance(data, list) or not data:
        raise DataError(
            f"{place} must hold an image as image/encoded; it holds {', '.join(features) or 'no'} "
            "features. Make records with prepare_dataset.sh."
        )
    return np.asarray(decode_bytes(data[0], place=place), dtype=np.uint8)


def class_label(features: Features, place: str) -> int:
    """Return ``image/class/label`` as it is stored, or -1 where there is none, as LPOT does."""
    label = features.get("image/class/label", ())
    return int(label[0]) if len(label) else -1


def detection_label(features: Features, place: str) -> DetectionLabel:
    """Return the objects of a record.

    Raises:
        DataError: If features disagree in number, or classes are missing.
    """
    corners = [_numbers(features, f"image/object/bbox/{name}", place) for name in _CORNERS]
    count = len(corners[0])
    classes = _numbers(features, "image/object/class/label", place).astype(np.int64)
    texts = tuple(text.decode(errors="replace") for text in _texts(features))
    lengths = {len(one) for one in corners} | {len(one) for one in (classes, texts) if len(one)}
    if lengths != {count} or (count and not len(classes) and not texts):
        raise DataError(
            f"{place} must have one class for each box in image/object/*; it has {count} boxes, "
            f"{len(classes)} class numbers and {len(texts)} names. Convert the data set again."
        )
    boxes = np.stack(corners, axis=1).astype(np.float32)
    size = _size(features, place)
    return DetectionLabel(
        image_id=_image_id(features),
        boxes=boxes,
        classes=classes,
        texts=texts,
        is_crowd=_flags(features, "is_crowd", count, place),
        difficult=_flags(features, "difficult", count, place),
        area=_areas(features, boxes, size, place),
        size=size,
    )


def mask_label(features: Features, place: str) -> NDArray[np.uint8]:
    """Return the class of each pixel, uint8 [height, width, 1].

    Raises:
        DataError: If there is none, or it is no image of one channel.
    """
    import io

    from PIL import Image as Pillow

    data = features.get(_MASK)
    if not isinstance(data, list) or not data:
        raise DataError(f"{place} must hold a mask as {_MASK}. Use records of segmentation.")
    try:
        with Pillow.open(io.BytesIO(data[0])) as image:
            classes = np.asarray(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{place}: the mask cannot be decoded ({error}).") from None
    if classes.ndim != 2:
        raise DataError(f"{place}: the mask must have one channel; it is {list(classes.shape)}.")
    return classes[..., None]


def voc_label(features: Features, place: str) -> Any:
    """Return the mask of a record, or its objects where it holds no mask."""
    return mask_label(features, place) if features.get(_MASK) else detection_label(features, place)


def any_label(features: Features, place: str) -> Any:
    """Return whichever label a record holds.

    Raises:
        DataError: If it holds none.
    """
    if features.get(_MASK):
        return mask_label(features, place)
    if any(name.startswith("image/object/class/") for name in features):
        return detection_label(features, place)
    if "image/class/label" in features:
        return class_label(features, place)
    raise DataError(
        f"{place} must hold image/class/label, image/object/class/* or {_MASK}; it holds "
        f"{', '.join(features)}. Make records with prepare_dataset.sh."
    )


LabelOf = Callable[[Features, str], Any]
PARSERS: Mapping[str, LabelOf] = MappingProxyType(
    {
        "ParseDecodeImagenet": class_label,
        "ParseDecodeCoco": detection_label,
        "ParseDecodeVoc": voc_label,
    }
)
"""Transform → what reads the label of a record."""


class _Parse(Transform):
    """Parses a serialized example; a sample that is an image already stays as it is."""

    def apply(self, image: Image, label: Any, context: Context) -> tuple[Image, Any]:
        """Return the image and its label; data sets of records have done so already."""
        return image, label

    def __call__(self, sample: Any) -> tuple[Any, Any]:
        """Parse the bytes of an example, or return a sample as it is."""
        if not isinstance(sample, bytes):
            return super().__call__(sample)
        place = "The record"
        features = parse_example(sample, place=place)
        return decoded(features, place), PARSERS[type(self).__name__](features, place)


class ParseDecodeImagenet(_Parse):
    """The image and ``image/class/label``."""


class ParseDecodeCoco(_Parse):
    """The image and its objects."""


class ParseDecodeVoc(_Parse):
    """The image and its mask, or its objects where it has no mask."""


def _numbers(features: Features, name: str, place: str) -> NDArray[Any]:
    values = features.get(name, ())
    if isinstance(values, list) and values:
        raise DataError(f"{place} must hold numbers as {name}; it holds bytes.")
    return np.asarray(values)


def _texts(features: Features) -> list[bytes]:
    texts = features.get("image/object/class/text", [])
    return texts if isinstance(texts, list) else []


def _size(features: Features, place: str) -> tuple[int, int]:
    height, width = (_numbers(features, f"image/{side}", place) for side in ("height", "width"))
    if len(height) and len(width):
        return int(height[0]), int(width[0])
    return decoded(features, place).shape[:2]


def _image_id(features: Features) -> int | str:
    for name in ("image/source_id", "image/filename"):
        values = features.get(name)
        if isinstance(values, list) and values and values[0]:
            return identity(values[0].decode(errors="replace"))
    return ""


def _flags(features: Features, name: str, count: int, place: str) -> NDArray[np.bool_]:
    values = _numbers(features, f"image/object/{name}", place)
    return values.astype(bool) if len(values) == count else np.zeros(count, dtype=bool)


def _areas(
    features: Features, boxes: NDArray[np.float32], size: tuple[int, int], place: str
) -> NDArray[np.float32]:
    values = _numbers(features, "image/object/area", place)
    if len(values) == len(boxes):
        return values.astype(np.float32)
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(sides.prod(axis=1) * size[0] * size[1], dtype=np.float32)
