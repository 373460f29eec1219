"""Opens a data set of any known kind."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from lpot_examples.data.sources.annotated import Source, Troubles
from lpot_examples.data.sources.coco import open_coco
from lpot_examples.data.sources.folder import open_folder
from lpot_examples.data.sources.imagenet import open_imagenet
from lpot_examples.data.sources.labels import read_labels_file
from lpot_examples.data.sources.voc import open_voc
from lpot_examples.errors import DataError, nearest

DATASETS = ("coco", "voc", "imagenet", "folder")

# Number of the first class: 0 is the background of detectors and of ImageNet's records.
_FIRST = {"coco": 1, "voc": 1, "imagenet": 1, "folder": 0}


def check_dataset(dataset: str) -> None:
    """Check the name of a kind of data set.

    Raises:
        DataError: If there is no such kind.
    """
    if dataset not in DATASETS:
        raise DataError(
            f"--dataset must be one of {', '.join(DATASETS)}; it is '{dataset}'."
            f"{nearest(dataset, DATASETS)}"
        )


def open_source(
    dataset: str,
    root: Path,
    *,
    troubles: Troubles,
    splits: Collection[str] = (),
    labels: Path | None = None,
    first: int | None = None,
    boxes: Path | None = None,
    masks: bool = False,
) -> Source:
    """Open a data set.

    Args:
        dataset: One of `DATASETS`.
        root: Where it is.
        troubles: Told of what cannot be used.
        splits: Those to read; all that are there when empty.
        labels: A file that names the classes.
        first: The number of the first class, where the labels have none; when None 0 for
            ``folder``, else 1.
        boxes: ImageNet's boxes: a folder of xml, or a csv.
        masks: Whether COCO's segmentations are wanted.

    Raises:
        DataError: If the name is none of these, or the data set cannot be opened.
    """
    check_dataset(dataset)
    number = _FIRST[dataset] if first is None else first
    names = read_labels_file(labels, first=number) if labels else None
    if boxes is not None and dataset != "imagenet":
        raise DataError(f"--bounding_boxes is for --dataset=imagenet; the data set is {dataset}.")
    if masks and dataset != "coco":
        raise DataError(f"--masks is for --dataset=coco; the data set is {dataset}.")
    if dataset == "coco":
        return open_coco(root, troubles=troubles, splits=splits, labels=names, masks=masks)
    if dataset == "voc":
        return open_voc(root, troubles=troubles, splits=splits, labels=names)
    if dataset == "imagenet":
        return open_imagenet(
            root, troubles=troubles, splits=splits, labels=names, first=number, boxes=boxes
        )
    return open_folder(root, troubles=troubles, splits=splits, labels=names, first=number)
