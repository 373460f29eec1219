"""What can be wrong with one record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.records.images import decoded_size
from lpot_examples.data.sources.labels import LabelMap
from lpot_examples.errors import DataError

ENCODED = "image/encoded"
BOX = tuple(f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))
OBJECT = "image/object/"

_FORMATS = {"jpg": "jpeg"}


def labels_of(example: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return the classes of a record, or of its objects, each as number and name."""
    for prefix in ("image/object/class/", "image/class/"):
        numbers, texts = example.get(f"{prefix}label"), example.get(f"{prefix}text", ())
        if numbers is not None and _is_array(numbers, "i"):
            names = [text.decode(errors="replace") for text in texts if isinstance(text, bytes)]
            names += [""] * (len(numbers) - len(names))
            return list(zip(numbers.tolist(), names, strict=False))
    return []


def identity(example: Mapping[str, Any]) -> str:
    """Return what identifies a record among others; empty if nothing does.

    File names do not: in folders of classes they repeat.
    """
    return next(iter(_texts(example, "image/source_id")), "")


def faults(example: Mapping[str, Any], *, labels: LabelMap | None, decode: bool) -> Iterator[str]:
    """Yield what is wrong with a record, each as the end of a sentence about it.

    Args:
        example: Its features.
        labels: What classes there should be; None if that is not known.
        decode: Whether to decode the image.
    """
    size: tuple[int, int] | None = None
    encoded = example.get(ENCODED)
    if not isinstance(encoded, list) or len(encoded) != 1:
        yield f"lacks {ENCODED}: one byte string, the image file"
    elif decode:
        try:
            width, height, kind = decoded_size(encoded[0], place=ENCODED)
        except DataError as error:
            yield f"holds a broken image: {error}"
        else:
            size = width, height
            yield from _against_image(example, size, kind)
            yield from _against_checksum(example, encoded[0])
    yield from _objects(example, size or _said_size(example))
    yield from _classes(example, labels)


def _against_image(example: Mapping[str, Any], size: tuple[int, int], kind: str) -> Iterator[str]:
    for side, name in zip(size, ("image/width", "image/height"), strict=True):
        said = _number(example, name)
        if said is not None and said != side:
            yield f"says {name} = {said}; its image has {side}"
    for value in _texts(example, "image/format")[:1]:
        said_kind = value.lower()
        if _FORMATS.get(said_kind, said_kind) not in ("", kind):
            yield f"says image/format = '{value}'; its image is {kind.upper()}"


def _against_checksum(example: Mapping[str, Any], data: bytes) -> Iterator[str]:
    said = _texts(example, "image/key/sha256")
    if said and said[0] and said[0] != hashlib.sha256(data).hexdigest():
        yield "holds an image whose SHA-256 is not image/key/sha256"


def _objects(example: Mapping[str, Any], size: tuple[int, int] | None) -> Iterator[str]:
    present = [name for name in BOX if name in example]
    if not present:
        return
    missing = [name for name in BOX if name not in example]
    if missing:
        yield f"lacks {', '.join(missing)}, but has {present[0]}"
        return
    counts = {name: len(values) for name, values in example.items() if name.startswith(OBJECT)}
    count = counts[BOX[0]]
    for name, number in counts.items():
        if number != count:
            yield f"has {count} boxes ({BOX[0]}), but {number} values of {name}"
    sides = [example[name] for name in BOX]
    if any(len(values) and not _is_array(values, "f") for values in sides):
        yield "has boxes that are no float32 values"
    elif len({len(values) for values in sides}) == 1:
        yield from _boxes(np.asarray(sides, dtype=np.float64).reshape(4, -1).T, size)


def _boxes(boxes: NDArray[np.float64], size: tuple[int, int] | None) -> Iterator[str]:
    slack = np.asarray([1 / side for side in size] if size else [0.01, 0.01]) * 1.001
    for number, box in enumerate(boxes):
        low, high = box[:2], box[2:]
        shown = ", ".join(f"{value:.4g}" for value in box)
        shown = f"object {number} has (xmin, ymin, xmax, ymax) = ({shown})"
        if not np.isfinite(box).all() or not (low < high).all():
            yield f"has a box without area: {shown}"
        elif (low < -slack).any() or (high > 1 + slack).any():
            yield f"has a box outside the image: {shown}; 0 to 1 is required"


def _classes(example: Mapping[str, Any], labels: LabelMap | None) -> Iterator[str]:
    for number, text in dict.fromkeys(labels_of(example)) if labels else ():
        label = labels.by_number.get(number) if labels else None
        if label is None and labels:
            yield f"is labelled {number} ('{text}'), which {labels.origin} does not name"
        elif label and text and text not in (label.name, label.synset):
            yield f"calls class {number} '{text}'; it is '{label.name}'"


def _said_size(example: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = _number(example, "image/width"), _number(example, "image/height")
    return (width, height) if width and height else None


def _number(example: Mapping[str, Any], name: str) -> int | None:
    values = example.get(name)
    return int(values[0]) if _is_array(values, "i") and values is not None and len(values) else None


def _texts(example: Mapping[str, Any], name: str) -> list[str]:
    values = example.get(name)
    if not isinstance(values, list):
        return []
    return [value.decode(errors="replace") for value in values]


def _is_array(values: object, kind: str) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind == kind
