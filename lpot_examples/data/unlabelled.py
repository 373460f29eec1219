"""Images of which no labels are needed, in whatever layout the dataset has."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from lpot_examples.data.listing import CALIBRATION_STRIDE, first, image_samples, required_folder
from lpot_examples.data.loader import Sample
from lpot_examples.errors import DataError

# COCO's, Pascal VOC's and the common names; the first that holds images counts.
_EVALUATED = ("val2017", "JPEGImages", "validation", "val", "test")
_CALIBRATED = ("calibration", "train2017", "train")

_PURPOSE = (
    "{topology} needs a folder of images: in val2017/, JPEGImages/, validation/, val/ or test/, "
    "else in the folder itself or in folders in it; and in calibration/, train2017/ or train/ "
    "those to calibrate with, else every fifth. Give it: bash run_tuning.sh --topology={topology} "
    "--dataset_location=images/"
)


def unlabelled_images(
    dataset_location: Path | None, *, topology: str, limit: int | None = None
) -> tuple[Sample, ...]:
    """List the images to compare networks on, by name.

    Args:
        dataset_location: A folder in the layout of COCO, Pascal VOC or ImageNet, or any with
            images.
        topology: Who needs it, for the error message.
        limit: Only the first images; all when None.

    Raises:
        DataError: If there is no image.
    """
    purpose = _PURPOSE.format(topology=topology)
    root = required_folder(dataset_location, purpose=purpose)
    for folder in (*(root / name for name in _EVALUATED), root):
        if samples := _images(folder):
            return first(samples, limit)
    raise DataError(f"{root} holds no image. {purpose}")


def unlabelled_calibration(dataset_location: Path | None, *, topology: str) -> tuple[Sample, ...]:
    """List the images to calibrate with, by name; without any of their own, every fifth.

    Raises:
        DataError: If there is no image.
    """
    root = required_folder(dataset_location, purpose=_PURPOSE.format(topology=topology))
    for name in _CALIBRATED:
        if samples := _images(root / name):
            return samples
    return unlabelled_images(root, topology=topology)[::CALIBRATION_STRIDE]


def _images(folder: Path) -> tuple[Sample, ...]:
    """Return the images of a folder, else those of the folders in it."""
    found = image_samples(folder)
    if found or not folder.is_dir():
        return found
    inner = sorted(path for path in folder.iterdir() if path.is_dir())
    return tuple(chain.from_iterable(map(image_samples, inner)))
