"""COCO as TFRecord shards: images, and annotations in the form of COCO's own files.

The features are those that TensorFlow's object detection API writes, see `data.pipeline.parsing`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.data.image_records import ImageRecords
from lpot_examples.data.images import by_size
from lpot_examples.data.listing import first
from lpot_examples.data.loader import Sample
from lpot_examples.data.pipeline.labels import DetectionLabel
from lpot_examples.data.pipeline.parsing import detection_label
from lpot_examples.data.pipeline.record_files import RecordFiles, holds_records
from lpot_examples.data.records.reader import shards
from lpot_examples.errors import DataError
from lpot_examples.evaluation.metrics.class_names import COCO_NAMES

_MASKS = "image/object/mask"


@dataclass(frozen=True, kw_only=True)
class AnnotatedRecords:
    """The images of some shards with their annotations.

    Attributes:
        images: In the order of their ids; with a batch size above 1, of their sizes.
        ground_truth: The content of a COCO instances file for them.
    """

    images: ImageRecords
    ground_truth: dict[str, Any]


def is_records(location: Path) -> bool:
    """Tell whether a dataset's location means records and not a folder in COCO layout."""
    return not (location / "annotations").is_dir() and holds_records(location)


def calibration_records(location: Path, *, batch_size: int) -> ImageRecords:
    """Return the images to calibrate with: those of the training shards, in order.

    Where there are none, those of the validation shards in an order drawn by their numbers, always
    the same one.

    Args:
        location: See `data.records.reader.shards`.
        batch_size: Images per batch at most.

    Raises:
        DataError: If there are none, or a shard is damaged.
    """
    found = shards(location, split="train")
    files = RecordFiles(found)
    rows = range(len(files))
    if found == shards(location, split="validation"):
        rows = sorted(rows, key=_drawn)  # type: ignore[assignment]
    samples = [Sample(path=found[0])] * len(files)
    return ImageRecords(files, rows, samples=samples, batch_size=batch_size)


def annotated_records(
    location: Path, *, batch_size: int, limit: int | None, masks: bool
) -> AnnotatedRecords:
    """Read the annotations of the validation shards.

    Args:
        location: See `data.records.reader.shards`.
        batch_size: Images per batch at most.
        limit: Only the first images in the order of their ids; all when None.
        masks: Whether masks are needed.

    Raises:
        DataError: If there are none, a shard is damaged, an image id comes twice, or masks are
            missing.
    """
    found = shards(location, split="validation")
    files = RecordFiles(found)
    rows: dict[int, int] = {}
    truths: dict[int, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    for row in range(len(files)):
        image, annotations = _truth(files.features(row), row, files.place(row), masks=masks)
        if image["id"] in rows:
            raise DataError(
                f"{files.place(row)} repeats the image id {image['id']} of "
                f"{files.place(rows[image['id']])}. Give the shards of one data set."
            )
        rows[image["id"]] = row
        truths[image["id"]] = image, annotations
    samples = first(
        [
            Sample(path=found[0], label=number, size=(image["width"], image["height"]))
            for number, (image, _) in sorted(truths.items())
        ],
        limit,
    )
    chosen = [truths[sample.label] for sample in samples]
    annotations = [row for _, rows_of_image in chosen for row in rows_of_image]
    ordered = by_size(samples) if batch_size > 1 else samples
    numbers = [rows[sample.label] for sample in ordered]
    return AnnotatedRecords(
        images=ImageRecords(files, numbers, samples=ordered, batch_size=batch_size),
        ground_truth={
            "images": [image for image, _ in chosen],
            "annotations": [{"id": at, **row} for at, row in enumerate(annotations, 1)],
            "categories": [
                {"id": one} for one in sorted({row["category_id"] for row in annotations})
            ],
        },
    )


def _truth(
    features: Mapping[str, Any], row: int, place: str, *, masks: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a record's image and annotations as rows of an instances file."""
    label = detection_label(features, place)
    number = label.image_id if isinstance(label.image_id, int) else row
    height, width = label.size
    image = {"id": number, "width": width, "height": height}
    annotations = _annotations(label, number, place)
    if masks:
        encoded = features.get(_MASKS, [])
        if len(encoded) != len(annotations):
            raise DataError(
                f"{place} must hold a mask for each of its {len(annotations)} objects as {_MASKS}; "
                f"it holds {len(encoded)}. Make records with masks: prepare_dataset.sh --masks."
            )
        for annotation, data in zip(annotations, encoded, strict=True):
            annotation["segmentation"] = _run_lengths(data, place)
    return image, annotations


def _annotations(label: DetectionLabel, number: int, place: str) -> list[dict[str, Any]]:
    height, width = label.size
    corners = (label.boxes.astype(np.float64) * (height, width, height, width)).tolist()
    return [
        {
            "image_id": number,
            "category_id": category,
            "bbox": [left, top, right - left, bottom - top],
            "iscrowd": int(crowd),
            "area": float(area),
        }
        for (top, left, bottom, right), category, crowd, area in zip(
            corners, _categories(label, place), label.is_crowd, label.area, strict=True
        )
    ]


def _categories(label: DetectionLabel, place: str) -> list[int]:
    """Return category ids; those of COCO's names where a record has names only."""
    if len(label.classes) == len(label) and label.classes.all():
        return list(map(int, label.classes))
    unknown = [name for name in label.texts if name not in COCO_NAMES]
    if unknown or len(label.texts) != len(label):
        which = f"one of name '{unknown[0]}'" if unknown else "one without"
        raise DataError(
            f"{place} must hold the category id of each object as image/object/class/label, or "
            f"COCO's name of it as image/object/class/text; it holds {which}. Convert the data set "
            "again."
        )
    return [COCO_NAMES[name] for name in label.texts]


def _run_lengths(data: bytes, place: str) -> dict[str, Any]:
    from PIL import Image
    from pycocotools import mask

    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{place}: a mask cannot be decoded ({error}).") from None
    if pixels.ndim != 2:
        raise DataError(f"{place}: a mask must have one channel; one is {list(pixels.shape)}.")
    encoded: dict[str, Any] = mask.encode(np.asfortranarray(pixels))
    return encoded


def _drawn(row: int) -> str:
    return hashlib.sha256(str(row).encode()).hexdigest()
