"""Images in one folder per class."""

from __future__ import annotations

from itertools import chain, zip_longest
from pathlib import Path

from lpot_examples.data.listing import image_samples
from lpot_examples.data.loader import Sample
from lpot_examples.errors import DataError


def class_folders(root: Path) -> tuple[Path, ...]:
    """Return the folders in ``root`` that hold images, by name; ``root`` may be absent."""
    if not root.is_dir():
        return ()
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    return tuple(folder for folder in folders if image_samples(folder))


def class_folder_images(root: Path, *, classes: int) -> tuple[Sample, ...]:
    """List labelled images; a folder's position among the sorted names is its class index.

    The classes take turns, so that the first images are of all of them.

    Args:
        root: Holds a folder for each class.
        classes: How many there must be.

    Raises:
        DataError: If there are more or fewer folders with images.
    """
    folders = class_folders(root)
    if len(folders) != classes:
        raise DataError(
            f"{root} must hold a folder of images for each of the network's {classes} classes; it "
            f"holds {len(folders)}. Correct 'classes' in q_dataloader.py, or list the images with "
            "their class indices in labels.txt."
        )
    columns = [
        [Sample(path=sample.path, label=index) for sample in image_samples(folder)]
        for index, folder in enumerate(folders)
    ]
    turns = chain.from_iterable(zip_longest(*columns))
    return tuple(sample for sample in turns if sample is not None)
