"""Images and boxes in COCO layout, checked against each other.

The layout is that of https://cocodataset.org: ``val2017/*.jpg``, ``train2017/*.jpg`` and
``annotations/instances_val2017.json``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpot_examples.data.listing import first, image_samples, required_folder
from lpot_examples.data.loader import Sample
from lpot_examples.errors import DataError

_PURPOSE = (
    "{topology} needs a folder in COCO layout: val2017/*.jpg and "
    "annotations/instances_val2017.json for evaluation, train2017/*.jpg for calibration. Download "
    "2017 Val images, Train images and Train/Val annotations from "
    "https://cocodataset.org/#download, unpack them into one folder and give it: "
    "bash run_tuning.sh --topology={topology} --dataset_location=coco/"
)


@dataclass(frozen=True, kw_only=True)
class CocoImages:
    """The images of one COCO split with their boxes.

    Attributes:
        samples: The images in ascending id order; a sample's label is its image id.
        ground_truth: The content of the annotations file, limited to these images.
    """

    samples: tuple[Sample, ...]
    ground_truth: dict[str, Any]

    def __len__(self) -> int:
        return len(self.samples)


def coco_images(
    dataset_location: Path | None,
    *,
    topology: str,
    split: str = "val2017",
    limit: int | None = None,
) -> CocoImages:
    """Open a split for evaluation.

    Args:
        dataset_location: The folder that holds the split's folder and ``annotations/``.
        topology: Who needs it, for the error message.
        split: The images' folder; the annotations are ``annotations/instances_<split>.json``.
        limit: Only the first images in id order; all when None.

    Raises:
        DataError: If something is missing, or the annotations do not match the images or
            themselves. Whether each image can be decoded and has the annotated size shows when it
            is loaded.
    """
    purpose = _PURPOSE.format(topology=topology)
    root = required_folder(dataset_location, purpose=purpose)
    file = root / "annotations" / f"instances_{split}.json"
    for path in (root / split, file):
        if not path.exists():
            raise DataError(f"{path} is missing. {purpose}")
    content = read_instances(file)
    images = checked_images(content, file)
    samples = first(
        [
            Sample(path=root / split / row["file_name"], label=number, size=_size(row))
            for number, row in sorted(images.items())
        ],
        limit,
    )
    check_listed([sample.path for sample in samples], file)
    return CocoImages(samples=samples, ground_truth=_limited(content, samples))


def coco_calibration(
    dataset_location: Path | None, *, topology: str, split: str = "train2017"
) -> tuple[Sample, ...]:
    """List a split's images by name for calibration, which needs no annotations.

    Raises:
        DataError: If the folder is missing or holds no image.
    """
    purpose = _PURPOSE.format(topology=topology)
    root = required_folder(dataset_location, purpose=purpose)
    samples = image_samples(root / split)
    if not samples:
        raise DataError(f"{root / split} holds no image to calibrate with. {purpose}")
    return samples


def read_instances(file: Path) -> dict[str, Any]:
    """Read an instances file, whose rows are not checked yet.

    Raises:
        DataError: If it cannot be read, is not JSON or lacks one of COCO's lists.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{file}:{error.lineno}: annotations must be JSON; column {error.colno} reads "
            f"'{error.msg}'. The file may be truncated: download it again."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The annotations {file} cannot be read: {error}.") from None
    keys = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(_rows(content.get(key)) for key in keys):
        raise DataError(
            f"{file} must hold the lists images, annotations and categories of COCO's "
            "instances files. Give object detection annotations in COCO format."
        )
    return content


def _rows(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def checked_images(content: Mapping[str, Any], file: Path) -> dict[int, dict[str, Any]]:
    """Return the images of an instances file by id, all its rows checked.

    Args:
        content: What `read_instances` returned.
        file: The file, for error messages.

    Raises:
        DataError: If a row cannot be used, see `check_image` and `check_annotation`.
    """
    images: dict[int, dict[str, Any]] = {}
    for index, row in enumerate(content["images"]):
        check_image(row, images, place=f"{file}: images[{index}]")
        images[row["id"]] = row
    categories = {row.get("id") for row in content["categories"]}
    for index, row in enumerate(content["annotations"]):
        place = f"{file}: annotations[{index}] (id {row.get('id')})"
        check_annotation(row, images=images, categories=categories, place=place)
    return images


def check_image(row: Mapping[str, Any], known: Collection[int], *, place: str) -> None:
    """Check one row of ``images``.

    Args:
        row: The row.
        known: The ids of the rows before it.
        place: Where it is, for the error message.

    Raises:
        DataError: If it lacks its id, file name or size, or repeats an id.
    """
    if not isinstance(row.get("id"), int) or not isinstance(row.get("file_name"), str):
        raise DataError(f"{place} must have an integer id and a file_name; it is {row}.")
    if not all(isinstance(row.get(key), int) and row[key] > 0 for key in ("width", "height")):
        raise DataError(f"{place} must have its width and height in pixels; it is {row}.")
    if row["id"] in known:
        raise DataError(f"{place} repeats the image id {row['id']}. Ids must be unique.")


def check_annotation(
    row: Mapping[str, Any],
    *,
    images: Mapping[int, Mapping[str, Any]],
    categories: Collection[int],
    place: str,
) -> None:
    """Check one row of ``annotations``.

    Args:
        row: The row.
        images: The rows of ``images`` by id.
        categories: The ids of the categories.
        place: Where the row is, for the error message.

    Raises:
        DataError: If its image or category does not exist, or its box is malformed or outside its
            image.
    """
    if not isinstance(row.get("image_id"), int) or row["image_id"] not in images:
        raise DataError(
            f"{place} is for image id {row.get('image_id')}, which is not among the images. "
            "Use the annotations that were made for these images."
        )
    if not isinstance(row.get("category_id"), int) or row["category_id"] not in categories:
        raise DataError(
            f"{place} has category id {row.get('category_id')}, which is not among the "
            f"{len(categories)} categories. Correct it or add the category."
        )
    _check_box(row.get("bbox"), _size(images[row["image_id"]]), place)


def _check_box(box: object, size: tuple[int, int], place: str) -> None:
    if not isinstance(box, list) or len(box) != 4 or not all(map(_finite, box)):
        raise DataError(
            f"{place} must have a bbox of 4 numbers [x, y, width, height]; it is {box}."
        )
    x, y, width, height = box
    if width < 0 or height < 0:
        raise DataError(
            f"{place} must have a bbox [x, y, width, height] of non-negative size; it is {box}."
        )
    if x > size[0] or y > size[1] or x + width < 0 or y + height < 0:
        raise DataError(
            f"{place} has the bbox {box} outside its image of {size[0]}x{size[1]} pixels. "
            "Use the annotations that were made for these images."
        )


def _finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _size(row: Mapping[str, Any]) -> tuple[int, int]:
    return row["width"], row["height"]


def check_listed(paths: Sequence[Path], file: Path) -> None:
    """Check that the images that a file lists are there, one at least.

    Raises:
        DataError: If not.
    """
    if not paths:
        raise DataError(f"{file} must list at least one image; it lists none.")
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"{file} lists {len(paths)} images, of which {len(missing)} do not exist, the first "
            f"{missing[0]}. Restore them, or remove them from the annotations."
        )


def _limited(content: Mapping[str, Any], samples: tuple[Sample, ...]) -> dict[str, Any]:
    ids = {sample.label for sample in samples}
    return {
        "images": [row for row in content["images"] if row["id"] in ids],
        "annotations": [row for row in content["annotations"] if row["image_id"] in ids],
        "categories": content["categories"],
    }
