"""Data sets in COCO's layout: COCORaw (image files) and COCONpy (arrays)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lpot_examples.data.coco import check_listed, checked_images, read_instances
from lpot_examples.data.pipeline.arguments import Location, Positive
from lpot_examples.data.pipeline.dataset import DatasetArguments, Samples
from lpot_examples.data.pipeline.labels import DetectionLabel
from lpot_examples.data.pipeline.places import Places
from lpot_examples.data.transforms import decode
from lpot_examples.errors import DataError


class CocoSamples(Samples):
    """The images of an instances file, in ascending order of their ids.

    Args:
        files: The images.
        labels: Their objects.
    """

    def __init__(self, files: Sequence[Path], labels: Sequence[DetectionLabel]) -> None:
        self._files = files
        self._labels = labels

    def __len__(self) -> int:
        """The number of images."""
        return len(self._files)

    def load(self, row: int) -> tuple[Any, Any]:
        """Return the image and its objects."""
        label = self._labels[row]
        return self._image(self._files[row], label.size), label

    def label(self, row: int) -> DetectionLabel:
        """Return the objects."""
        return self._labels[row]

    def place(self, row: int) -> str:
        """Return the file."""
        return str(self._files[row])

    def _image(self, path: Path, size: tuple[int, int]) -> NDArray[Any]:
        return np.asarray(decode(path, (size[1], size[0])), dtype=np.uint8)


class ArrayFileSamples(CocoSamples):
    """Images that are ``.npy`` files, of any size."""

    def _image(self, path: Path, size: tuple[int, int]) -> NDArray[Any]:
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                f"{path} must be an array of NumPy; it cannot be read: {error}."
            ) from None
        if not isinstance(array, np.ndarray):
            raise DataError(f"{path} must be one array of NumPy (.npy); it holds several.")
        return array


class _CocoSet(DatasetArguments):
    @abstractmethod
    def open(self, places: Places) -> CocoSamples:
        """Read the annotations."""

    def _open(
        self, places: Places, *, root: str | None, images: str, annotations: str, suffix: str = ""
    ) -> tuple[list[Path], list[DetectionLabel]]:
        folder = places.root(root)
        file = folder / annotations
        for key, path in (("annotations", file), ("images", folder / images)):
            if not path.exists():
                raise DataError(
                    f"{places.where} needs the {key} {path}, which do not exist. COCO's layout is "
                    "required: annotations/instances_val2017.json and val2017/*.jpg. Correct the "
                    "paths, or give --dataset_location."
                )
        rows, labels = _labelled(read_instances(file), file)
        files = [folder / images / f"{row['file_name']}{suffix}" for row in rows]
        check_listed(files, file)
        return files, labels


class COCORaw(_CocoSet):
    """Image files with COCO's annotations. ``num_cores`` is accepted without effect."""

    root: Location | None = Field(default=None, examples=["data/coco"])
    img_dir: Location = "val2017"
    anno_dir: Location = "annotations/instances_val2017.json"
    num_cores: Positive = 28

    def open(self, places: Places) -> CocoSamples:
        """Read the annotations."""
        return CocoSamples(
            *self._open(places, root=self.root, images=self.img_dir, annotations=self.anno_dir)
        )


class COCONpy(_CocoSet):
    """Arrays ``<image's file name>.npy`` with COCO's annotations."""

    root: Location | None = Field(default=None, examples=["data/coco"])
    npy_dir: Location = "val2017"
    anno_dir: Location = "annotations/instances_val2017.json"
    num_cores: Positive = 28

    def open(self, places: Places) -> CocoSamples:
        """Read the annotations."""
        files, labels = self._open(
            places, root=self.root, images=self.npy_dir, annotations=self.anno_dir, suffix=".npy"
        )
        return ArrayFileSamples(files, labels)


def _labelled(
    content: Mapping[str, Any], file: Path
) -> tuple[list[dict[str, Any]], list[DetectionLabel]]:
    """Return the images in ascending order of their ids, and the objects of each."""
    images = checked_images(content, file)
    names = {row.get("id"): str(row.get("name", "")) for row in content["categories"]}
    objects: dict[int, list[dict[str, Any]]] = {number: [] for number in images}
    for row in content["annotations"]:
        objects[row["image_id"]].append(row)
    rows = [images[number] for number in sorted(images)]
    return rows, [_label(row, objects[row["id"]], names) for row in rows]


def _label(
    image: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], names: Mapping[Any, str]
) -> DetectionLabel:
    height, width = image["height"], image["width"]
    pixels = np.asarray([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
    x, y, across, down = pixels.T
    boxes = np.stack([y / height, x / width, (y + down) / height, (x + across) / width], axis=1)
    areas = [_area(row) for row in rows]
    return DetectionLabel(
        image_id=image["id"],
        boxes=boxes.astype(np.float32),
        classes=np.asarray([row["category_id"] for row in rows], dtype=np.int64),
        texts=tuple(names[row["category_id"]] for row in rows),
        is_crowd=np.asarray([bool(row.get("iscrowd", 0)) for row in rows], dtype=bool),
        difficult=np.zeros(len(rows), dtype=bool),
        area=np.asarray(areas, dtype=np.float32),
        size=(height, width),
    )


def _area(row: Mapping[str, Any]) -> float:
    area = row.get("area")
    return float(area) if isinstance(area, (int, float)) else row["bbox"][2] * row["bbox"][3]
