"""Draws records: boxes, masks and class names on their images."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lpot_examples.data.records.check import BOX, ENCODED, labels_of
from lpot_examples.data.records.inspect import Inspection, sample_records
from lpot_examples.data.sources.labels import LabelMap
from lpot_examples.errors import DataError, OutputError
from lpot_examples.workspace import replacing

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

Colour = tuple[int, int, int]

_SMALLEST_TEXT = 11  # pixels
_OPACITY = 110  # of masks, 0–255


def drawn(example: Mapping[str, Any], *, labels: LabelMap | None = None) -> Image.Image:
    """Draw a record.

    Args:
        example: Its features.
        labels: Names of classes whose names are not in the record.

    Returns:
        The image in its own size, RGB.

    Raises:
        DataError: If the record holds no image that can be decoded.
    """
    from PIL import Image, ImageDraw

    encoded = example.get(ENCODED) or [b""]
    try:
        with Image.open(BytesIO(encoded[0])) as opened:
            image = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError) as error:
        raise DataError(f"the image cannot be decoded ({error})") from None
    classes = labels_of(example)
    boxes = _boxes(example, image.size)
    for index, mask in enumerate(example.get("image/object/mask", ())):
        _paint(image, mask, _colour(classes[index][0] if index < len(classes) else 0))
    draw = ImageDraw.Draw(image)
    height = max(_SMALLEST_TEXT, min(image.size) // 32)
    for index, box in enumerate(boxes):
        number, text = classes[index] if index < len(classes) else (0, "")
        colour = _colour(number)
        draw.rectangle(box, outline=colour, width=max(2, height // 8))
        caption = _named(number, text, labels)
        _write(draw, (box[0], max(0.0, box[1] - height - 3)), caption, colour, height)
    if not boxes and classes:
        number, text = classes[0]
        _write(draw, (0.0, 0.0), _named(number, text, labels), _colour(number), height)
    return image


def save_samples(
    inspection: Inspection,
    paths: Sequence[Path],
    folder: Path,
    *,
    count: int,
    seed: int,
    labels: LabelMap | None,
) -> list[Path]:
    """Draw records chosen at random, each into a PNG named by its shard and number.

    Args:
        inspection: Of the shards.
        paths: The shards.
        folder: Where the pictures go; it is made.
        count: How many records.
        seed: Chooses which.
        labels: Names of classes whose names are not in the records.

    Returns:
        The pictures. Records that cannot be drawn are among the problems of the inspection.

    Raises:
        OutputError: If the folder cannot be written.
    """
    written = []
    for shard, index, example in sample_records(inspection, paths, count=count, seed=seed):
        target = folder / f"{shard}-{index}.png"
        try:
            image = drawn(example, labels=labels)
        except DataError:  # `check.faults` has told
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(target) as temporary:
                image.save(temporary, "PNG")
        except OSError as error:
            raise OutputError(
                f"cannot write {target}: {error.strerror}. Choose another --samples_dir."
            ) from error
        written.append(target)
    return written


def _boxes(
    example: Mapping[str, Any], size: tuple[int, int]
) -> list[tuple[float, float, float, float]]:
    """Return the boxes that can be drawn, in pixels."""
    sides = [example.get(name, ()) for name in BOX]
    boxes = []
    for xmin, ymin, xmax, ymax in zip(*sides, strict=False):
        x, y = sorted((float(xmin), float(xmax))), sorted((float(ymin), float(ymax)))
        width, height = size
        boxes.append((x[0] * width, y[0] * height, x[1] * width, y[1] * height))
    return boxes


def _paint(image: Image.Image, mask: bytes, colour: Colour) -> None:
    """Colour the part of an image that a PNG mask covers."""
    from PIL import Image

    try:
        with Image.open(BytesIO(mask)) as opened:
            covered = opened.convert("L").point(lambda value: _OPACITY if value else 0)
    except (OSError, SyntaxError, ValueError, TypeError) as error:
        raise DataError(f"a mask cannot be decoded ({error})") from None
    if covered.size == image.size:
        image.paste(colour, mask=covered)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    colour: Colour,
    height: int,
) -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(height)
    draw.rectangle(draw.textbbox(place, text, font=font), fill=colour)
    draw.text(place, text, fill=(0, 0, 0), font=font)


def _named(number: int, text: str, labels: LabelMap | None) -> str:
    known = labels.by_number.get(number) if labels else None
    name = text or (known.name if known else "")
    return f"{number} {name}".strip()


def _colour(number: int) -> Colour:
    """Return a light colour; neighbouring numbers have distant hues."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618 % 1, 0.65, 1.0)
    return int(red * 255), int(green * 255), int(blue * 255)
