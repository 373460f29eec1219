"""The xml of Pascal VOC, which ImageNet's boxes are written in too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from lpot_examples.data.sources.annotated import Annotation, Troubles
from lpot_examples.errors import DataError

_SIDES = ("width", "height")


@dataclass(frozen=True)
class VocFile:
    """What one xml says.

    Attributes:
        filename: The image it is for; may be empty.
        size: The image's (width, height) in pixels; None where it is left out or 0.
        objects: The objects; their classes are not numbered yet.
    """

    filename: str
    size: tuple[int, int] | None
    objects: tuple[Annotation, ...]


def read_xml(file: Path, troubles: Troubles) -> VocFile:
    """Read an annotation.

    Args:
        file: The xml.
        troubles: Told of objects that cannot be used.

    Raises:
        DataError: If the file cannot be read or is not an annotation.
    """
    try:
        root = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        raise DataError(
            f"{file}:{error.position[0]}: annotations must be well-formed xml ({error}). The file "
            "may be truncated: restore it."
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"The annotations {file} cannot be read: {error}.") from None
    if root.tag != "annotation":
        raise DataError(f"{file} must hold an <annotation> of Pascal VOC; it holds <{root.tag}>.")
    objects = []
    for index, node in enumerate(root.iter("object")):
        with troubles.catching("box"):
            objects.append(_object(node, f"{file}: object {index}"))
    return VocFile(root.findtext("filename", "").strip(), _size(root, file), tuple(objects))


def _size(root: ElementTree.Element, file: Path) -> tuple[int, int] | None:
    width, height = (
        root.findtext(f"size/{key}", "0").strip() or "0" for key in ("width", "height")
    )
    try:
        size = int(float(width)), int(float(height))
    except (ValueError, OverflowError):
        raise DataError(f"{file}: the size must be in pixels; it is {width}x{height}.") from None
    return size if min(size) > 0 else None


def _object(node: ElementTree.Element, place: str) -> Annotation:
    name = node.findtext("name", "").strip()
    if not name:
        raise DataError(f"{place} must have a <name>, its class; it has none. Add it.")
    corners = [_number(node, key, place) for key in ("xmin", "ymin", "xmax", "ymax")]
    return Annotation(
        box=(corners[0], corners[1], corners[2], corners[3]),
        label=None,
        text=name,
        place=place,
        difficult=node.findtext("difficult", "0").strip() == "1",
        truncated=node.findtext("truncated", "0").strip() == "1",
        view=node.findtext("pose", "").strip(),
    )


def _number(node: ElementTree.Element, key: str, place: str) -> float:
    text = node.findtext(f"bndbox/{key}", "").strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{place} must have a <bndbox> with the number {key}, in pixels; it is '{text}'."
        )
    return value
