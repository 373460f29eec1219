"""From an annotated image to the features of its record.

The names are those of TensorFlow's object detection API
(https://github.com/tensorflow/models/blob/master/research/object_detection/dataset_tools/create_coco_tf_record.py,
``create_pascal_tf_record.py``) and of ``build_imagenet_data.py`` of TF-Slim.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lpot_examples.data.records.images import Encoding, Stored, stored_image
from lpot_examples.data.records.masks import png_mask
from lpot_examples.data.sources.annotated import AnnotatedImage, Annotation, Troubles
from lpot_examples.errors import DataError

Box = tuple[float, float, float, float]

_SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordOptions:
    """What goes into records.

    Attributes:
        dataset: ``coco``, ``voc``, ``imagenet`` or ``folder``; says which features there are.
        encoding: How images are stored.
        masks: Whether to store COCO's segmentations as PNG masks.
    """

    dataset: str
    encoding: Encoding = field(default_factory=Encoding)
    masks: bool = False


def features(
    image: AnnotatedImage, options: RecordOptions, *, troubles: Troubles, notes: list[str]
) -> dict[str, Any]:
    """Return the features of one record.

    Args:
        image: The image; it is read here.
        options: What goes in.
        troubles: Told of boxes that are left out.
        notes: Gets a line for each thing that was changed and each that is odd.

    Raises:
        DataError: If the image cannot be read, is damaged or has another size than it must have.
    """
    stored = stored_image(image.content.read(), options.encoding, place=str(image.content))
    if image.size is not None and image.size != (stored.width, stored.height):
        raise DataError(
            f"{image.content} must be {image.size[0]}x{image.size[1]} pixels, as its annotations "
            f"say; it is {stored.width}x{stored.height}. Use the images the annotations were made "
            "for."
        )
    if stored.note:
        notes.append(f"{image.content}: {stored.note}")
    result = _of_image(image, stored)
    if options.dataset in ("coco", "voc"):
        result["image/format"] = stored.format
        result["image/key/sha256"] = hashlib.sha256(stored.data).hexdigest()
    else:
        result["image/format"] = stored.format.upper()
        result["image/colorspace"] = "Grayscale" if stored.channels == 1 else "RGB"
        result["image/channels"] = stored.channels
        if image.label is not None:
            result["image/class/label"] = image.label
            result["image/class/text"] = image.text
            result["image/class/synset"] = image.synset
    if image.objects or options.dataset in ("coco", "voc"):
        result |= _of_objects(image, stored, options, troubles=troubles, notes=notes)
    return result


def _of_image(image: AnnotatedImage, stored: Stored) -> dict[str, Any]:
    return {
        "image/encoded": stored.data,
        "image/height": stored.height,
        "image/width": stored.width,
        "image/filename": image.filename,
        "image/source_id": image.source_id,
    }


def _of_objects(
    image: AnnotatedImage,
    stored: Stored,
    options: RecordOptions,
    *,
    troubles: Troubles,
    notes: list[str],
) -> dict[str, Any]:
    objects: list[Annotation] = []
    boxes: list[Box] = []
    masks: list[bytes] = []
    for item in image.objects:
        try:
            box = _relative(item, stored, notes)
            if options.masks:
                masks.append(png_mask(item, stored.width, stored.height))
        except DataError as error:
            troubles.add("box", str(error))
            continue
        objects.append(item)
        boxes.append(box)
    result: dict[str, Any] = {
        f"image/object/bbox/{side}": _numbers(box[i] for box in boxes)
        for i, side in enumerate(_SIDES)
    }
    labels = _whole(item.label or 0 for item in objects)
    if options.dataset == "imagenet":
        return result | {"image/object/bbox/label": labels}
    result["image/object/class/text"] = [item.text for item in objects]
    result["image/object/class/label"] = labels
    if options.dataset == "voc":
        result["image/object/difficult"] = _whole(item.difficult for item in objects)
        result["image/object/truncated"] = _whole(item.truncated for item in objects)
        result["image/object/view"] = [item.view for item in objects]
        return result
    result["image/object/is_crowd"] = _whole(item.crowd for item in objects)
    result["image/object/area"] = _numbers(item.area or 0.0 for item in objects)
    if options.masks:
        result["image/object/mask"] = masks
    return result


def _whole(values: Iterable[int]) -> array[int]:
    return array("q", values)


def _numbers(values: Iterable[float]) -> array[float]:
    return array("f", values)


def _relative(item: Annotation, stored: Stored, notes: list[str]) -> Box:
    """Return a box as fractions of the image.

    A side that is up to one pixel outside is kept, because annotations round; what reaches
    further is cut off at the border.

    Raises:
        DataError: If the box has no area in the image.
    """
    width, height = item.frame or (stored.width, stored.height)
    xmin, ymin, xmax, ymax = item.box
    if not (xmin < xmax and ymin < ymax):
        raise DataError(
            f"{item.place} must have a box with an area; it goes from ({xmin:g}, {ymin:g}) to "
            f"({xmax:g}, {ymax:g}). Correct it."
        )
    if not (xmin < width and ymin < height and xmax > 0 and ymax > 0):
        raise DataError(
            f"{item.place} has a box from ({xmin:g}, {ymin:g}) to ({xmax:g}, {ymax:g}) outside "
            f"its image of {width:g}x{height:g} pixels. Use the annotations that were made for "
            "these images."
        )
    near = (width / stored.width, height / stored.height)  # a pixel of the image
    if min(xmin / near[0], ymin / near[1]) < -1 or (
        max((xmax - width) / near[0], (ymax - height) / near[1]) > 1
    ):
        notes.append(f"{item.place}: the box reached out of the image and was cut off")
        xmin, ymin = max(xmin, 0.0), max(ymin, 0.0)
        xmax, ymax = min(xmax, width), min(ymax, height)
    return xmin / width, ymin / height, xmax / width, ymax / height
