"""Data sets that are image files: ImageFolder, ImagenetRaw, style_transfer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from lpot_examples.data.class_folders import class_folders
from lpot_examples.data.imagenet import read_labels
from lpot_examples.data.listing import image_samples
from lpot_examples.data.loader import Sample
from lpot_examples.data.pipeline.arguments import Fraction, Location, Size, Text
from lpot_examples.data.pipeline.dataset import DatasetArguments, Samples
from lpot_examples.data.pipeline.places import Places
from lpot_examples.data.transforms import decode
from lpot_examples.errors import DataError

_LISTS = ("val.txt", "val_map.txt", "labels.txt")
_ANY_CLASS = 1 << 31


class FileSamples(Samples):
    """Image files with their labels; colour, whatever the files are."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        """The number of images."""
        return len(self._samples)

    def load(self, row: int) -> tuple[Any, Any]:
        """Return the decoded image and its class."""
        sample = self._samples[row]
        return np.asarray(decode(sample.path, sample.size), dtype=np.uint8), sample.label

    def label(self, row: int) -> int:
        """Return the class."""
        return self._samples[row].label

    def place(self, row: int) -> str:
        """Return the file."""
        return str(self._samples[row].path)


class ImageFolder(DatasetArguments):
    """A folder for each class; its position among the sorted names is the class."""

    root: Location | None = Field(default=None, examples=["data/photographs"])

    def open(self, places: Places) -> FileSamples:
        """List the images, class by class."""
        root = places.root(self.root)
        samples = [
            Sample(path=sample.path, label=index)
            for index, folder in enumerate(class_folders(root))
            for sample in image_samples(folder)
        ]
        if not samples:
            raise DataError(
                f"{root} must hold a folder of images for each class, such as {root}/cat/1.jpg; "
                "no folder in it holds images."
            )
        return FileSamples(samples)


class ImagenetRaw(DatasetArguments):
    """Images in one folder, and a list of lines ``file class``.

    Without ``image_list`` it is val.txt, val_map.txt or labels.txt in the folder.
    """

    data_path: Location | None = Field(default=None, examples=["data/imagenet"])
    image_list: Location | None = None

    def open(self, places: Places) -> FileSamples:
        """Read the list."""
        folder = places.root(self.data_path, key="data_path")
        return FileSamples(
            read_labels(self._list(folder, places), classes=_ANY_CLASS, folder=folder)
        )

    def _list(self, folder: Path, places: Places) -> Path:
        if self.image_list is not None:
            below = folder / self.image_list
            return below if below.is_file() else places.path(self.image_list, key="image_list")
        for name in _LISTS:
            if (folder / name).is_file():
                return folder / name
        raise DataError(
            f"{folder} must hold a list of lines 'file class' as {', '.join(_LISTS[:2])} or "
            f"{_LISTS[2]}; there is none. Give {places.where}.image_list."
        )


class StyleSamples(Samples):
    """Every pair of a content image and a style image; the label is 0.

    Args:
        contents: Content images.
        styles: Style images.
        size: (width, height) of both, pixels.
    """

    def __init__(
        self, contents: Sequence[Path], styles: Sequence[Path], *, size: tuple[int, int]
    ) -> None:
        self._contents = contents
        self._styles = styles
        self._size = size

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self._contents) * len(self._styles)

    def load(self, row: int) -> tuple[Any, Any]:
        """Return float32 images [height, width, 3] in 0 to 1, content and style."""
        content, style = divmod(row, len(self._styles))
        return [self._image(self._contents[content]), self._image(self._styles[style])], 0

    def label(self, row: int) -> int:
        """Return 0."""
        return 0

    def place(self, row: int) -> str:
        """Return both files."""
        content, style = divmod(row, len(self._styles))
        return f"{self._contents[content]} with {self._styles[style]}"

    def _image(self, path: Path) -> Any:
        return np.asarray(decode(path).resize(self._size), dtype=np.float32) / np.float32(255)


class style_transfer(DatasetArguments):  # noqa: N801 - LPOT's name
    """Two folders of images; ``resize_shape`` is (width, height), as in LPOT.

    ``crop_ratio`` is accepted and, as in LPOT, without effect.
    """

    content_folder: Location = Field(examples=["data/content"])
    style_folder: Location = Field(examples=["data/style"])
    crop_ratio: Fraction = 0.1
    resize_shape: Size = (256, 256)
    image_format: Text = "jpg"

    def open(self, places: Places) -> StyleSamples:
        """List both folders."""
        contents, styles = (
            self._images(places.root(value, key=key), key, places)
            for key, value in (
                ("content_folder", self.content_folder),
                ("style_folder", self.style_folder),
            )
        )
        return StyleSamples(contents, styles, size=self.resize_shape)

    def _images(self, folder: Path, key: str, places: Places) -> list[Path]:
        found = sorted(folder.glob(f"*{self.image_format}"))
        if not found:
            raise DataError(
                f"{places.where}.{key} must hold images named *{self.image_format}; {folder} "
                "holds none. Correct it, or image_format."
            )
        return found
