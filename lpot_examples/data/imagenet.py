"""Photographs with class indices: ``labels.txt`` beside them, or a folder for each class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lpot_examples.data.class_folders import class_folder_images, class_folders
from lpot_examples.data.listing import CALIBRATION_STRIDE, first, image_samples, required_folder
from lpot_examples.data.loader import Sample
from lpot_examples.errors import DataError

# Where labelled images are, and where those to calibrate with are; the first that is there counts.
_EVALUATED = ("validation", "val", "test")
_CALIBRATED = ("calibration", "train")

_LAYOUT = (
    "{topology} needs a folder with photographs and labels.txt, one line 'file index [name]' "
    "each, index 0-{last} in the order of the {order}; or a folder for each class, in val/ (and "
    "train/ for calibration) or side by side. "
)
_IMAGENET = (
    "Download the ILSVRC2012 validation "
    "images from https://image-net.org (labels.txt is then the val.txt that "
    "https://github.com/BVLC/caffe/blob/master/data/ilsvrc12/get_ilsvrc_aux.sh downloads) or one "
    "photograph per class from https://github.com/EliSchwartz/imagenet-sample-images, and give the "
    "folder: "
)
_COMMAND = (
    "bash run_tuning.sh --topology={topology} --input_model={topology}.pb "
    "--dataset_location={folder}/"
)


def imagenet_images(
    dataset_location: Path | None,
    *,
    topology: str,
    classes: int = 1000,
    limit: int | None = None,
) -> tuple[Sample, ...]:
    """List the labelled images.

    They come from the first of these that exists: ``labels.txt``, in its order; a folder for each
    class in ``validation/``, ``val/``, ``test/`` or the location itself, see
    `class_folders.class_folder_images`.

    Args:
        dataset_location: The folder that holds them; files in ``labels.txt`` are relative to it.
        topology: Who needs it, for the error message.
        classes: How many classes there are; indices are in [0, classes).
        limit: Only the first images; all when None.

    Raises:
        DataError: If something is missing, or a line cannot be used (with its number).
    """
    purpose = _purpose(topology, classes)
    root = required_folder(dataset_location, purpose=purpose)
    if (root / "labels.txt").is_file():
        return first(read_labels(root / "labels.txt", classes=classes), limit)
    for name in _EVALUATED:
        if class_folders(root / name):
            return first(class_folder_images(root / name, classes=classes), limit)
    if {folder.name for folder in class_folders(root)} - {*_EVALUATED, *_CALIBRATED}:
        return first(class_folder_images(root, classes=classes), limit)
    raise DataError(f"{root / 'labels.txt'} is missing, and no class has a folder. {purpose}")


def imagenet_calibration(
    dataset_location: Path | None, *, topology: str, classes: int = 1000
) -> tuple[Sample, ...]:
    """List the images to calibrate with; labels are -1 where there are none.

    They come from the first of these that exists: the file ``calibration.txt`` (lines as in
    ``labels.txt``, the index optional), the images of the folder ``calibration/`` or of its
    folders, those of ``train/``, and otherwise every fifth of the labelled images, which is then
    also evaluated.

    Raises:
        DataError: If something is missing, or a line cannot be used (with its number).
    """
    root = required_folder(dataset_location, purpose=_purpose(topology, classes))
    listed = root / "calibration.txt"
    if listed.is_file():
        return read_labels(listed, classes=classes, index_optional=True)
    for folder in (root / name for name in _CALIBRATED):
        samples = image_samples(folder)
        if not samples and class_folders(folder):
            samples = class_folder_images(folder, classes=classes)
        if samples:
            return samples
    images = imagenet_images(root, topology=topology, classes=classes)
    return images[::CALIBRATION_STRIDE]


def _purpose(topology: str, classes: int) -> str:
    """Say what is needed and how to get it."""
    imagenet = classes == 1000
    text = _LAYOUT + (_IMAGENET if imagenet else "Give the folder: ") + _COMMAND
    return text.format(
        topology=topology,
        last=classes - 1,
        order="sorted WordNet ids" if imagenet else "network's scores",
        folder="imagenet" if imagenet else "images",
    )


def read_labels(
    file: Path,
    *,
    classes: int,
    index_optional: bool = False,
    folder: Path | None = None,
    on_error: Callable[[DataError], None] | None = None,
) -> tuple[Sample, ...]:
    """Read lines ``file index [name]``; empty lines and lines that begin with # do not count.

    Args:
        file: The list.
        classes: Indices are in [0, classes).
        index_optional: Whether a line may name the file alone; its label is then -1.
        folder: What image files are relative to; the list's folder when None.
        on_error: Told of a line that cannot be used, which is then left out; without it that is
            raised.

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
        try:
            index = _index(words, place, classes, index_optional)
            if words[0] in seen:
                raise DataError(
                    f"{place}: {words[0]} is already on line {seen[words[0]]}. Remove one."
                )
            path = _image((folder or file.parent) / words[0], place)
            samples.append(Sample(path=path, label=index))
        except DataError as error:
            if on_error is None:
                raise
            on_error(error)
        else:
            seen[words[0]] = number
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
