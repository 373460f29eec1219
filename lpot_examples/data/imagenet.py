"""Photographs with class indices, in the layout images + ``labels.txt``."""

from __future__ import annotations

from pathlib import Path

from lpot_examples.data.listing import first, image_samples, required_folder
from lpot_examples.data.loader import Sample
from lpot_examples.errors import DataError

CALIBRATION_STRIDE = 5

_PURPOSE = (
    "{topology} needs a folder with photographs and labels.txt, one line 'file index [name]' "
    "each, index 0-999 in the order of the sorted WordNet ids. Download the ILSVRC2012 validation "
    "images from https://image-net.org (labels.txt is then the val.txt that "
    "https://github.com/BVLC/caffe/blob/master/data/ilsvrc12/get_ilsvrc_aux.sh downloads) or one "
    "photograph per class from https://github.com/EliSchwartz/imagenet-sample-images, and give the "
    "folder: "
    "bash run_tuning.sh --topology={topology} --input_model={topology}.pb "
    "--dataset_location=imagenet/"
)


def imagenet_images(
    dataset_location: Path | None,
    *,
    topology: str,
    classes: int = 1000,
    limit: int | None = None,
) -> tuple[Sample, ...]:
    """List the labelled images in the order of ``labels.txt``.

    Args:
        dataset_location: The folder that holds ``labels.txt`` and, relative to it, the images.
        topology: Who needs it, for the error message.
        classes: How many classes there are; indices are in [0, classes).
        limit: Only the first images; all when None.

    Raises:
        DataError: If something is missing, or a line cannot be used (with its number).
    """
    purpose = _PURPOSE.format(topology=topology)
    root = required_folder(dataset_location, purpose=purpose)
    if not (root / "labels.txt").is_file():
        raise DataError(f"{root / 'labels.txt'} is missing. {purpose}")
    return first(read_labels(root / "labels.txt", classes=classes), limit)


def imagenet_calibration(
    dataset_location: Path | None, *, topology: str, classes: int = 1000
) -> tuple[Sample, ...]:
    """List the images to calibrate with; labels are -1 where there are none.

    They come from the first of these that exists: the file ``calibration.txt`` (lines as in
    ``labels.txt``, the index optional), the images of the folder ``calibration/``, those of
    ``train/``, and otherwise every fifth image of ``labels.txt``, which is then also evaluated.

    Raises:
        DataError: If something is missing, or a line cannot be used (with its number).
    """
    purpose = _PURPOSE.format(topology=topology)
    root = required_folder(dataset_location, purpose=purpose)
    listed = root / "calibration.txt"
    if listed.is_file():
        return read_labels(listed, classes=classes, index_optional=True)
    for folder in (root / "calibration", root / "train"):
        samples = image_samples(folder)
        if samples:
            return samples
    images = imagenet_images(root, topology=topology, classes=classes)
    return images[::CALIBRATION_STRIDE]


def read_labels(file: Path, *, classes: int, index_optional: bool = False) -> tuple[Sample, ...]:
    """Read lines ``file index [name]``; empty lines and lines that begin with # do not count.

    Args:
        file: The list; image files are relative to its folder.
        classes: Indices are in [0, classes).
        index_optional: Whether a line may name the file alone; its label is then -1.

    Raises:
        DataError: If the file cannot be read or is empty, or a line is malformed, repeats an image
            or names one that does not exist; with the line number.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The list of images {file} cannot be read: {error}.") from None
    seen: dict[str, int] = {}
    samples = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        place = f"{file}:{number}"
        index = _index(words, place, classes, index_optional)
        if words[0] in seen:
            raise DataError(f"{place}: {words[0]} is already on line {seen[words[0]]}. Remove one.")
        seen[words[0]] = number
        samples.append(Sample(path=_image(file.parent / words[0], place), label=index))
    if not samples:
        raise DataError(f"{file} must list at least one image as 'file index [name]'; it is empty.")
    return tuple(samples)


def _index(words: list[str], place: str, classes: int, optional: bool) -> int:
    if optional and len(words) == 1:
        return -1
    if len(words) < 2 or not words[1].isascii() or not words[1].isdigit():
        raise DataError(
            f"{place}: a line must be 'file index [name]', such as 'cat.jpg 281 tabby'; "
            f"it is '{' '.join(words)[:80]}'."
        )
    if int(words[1]) >= classes:
        raise DataError(
            f"{place}: the class index must be in 0-{classes - 1}; it is {words[1]}. "
            "Number the classes from 0 and leave out a background class."
        )
    return int(words[1])


def _image(path: Path, place: str) -> Path:
    if not path.is_file():
        raise DataError(f"{place}: the image {path} does not exist. Restore it or remove the line.")
    return path
