"""Labelled images in TFRecord shards, as TensorFlow's ImageNet scripts write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.listing import CALIBRATION_STRIDE, check_limit
from lpot_examples.data.loader import BatchLoader, Sample
from lpot_examples.data.pipeline.parsing import class_label, decoded
from lpot_examples.data.pipeline.record_files import RecordFiles, holds_records
from lpot_examples.data.records.reader import shards
from lpot_examples.data.sources.labels import read_labels_file
from lpot_examples.data.transforms import ImageTransform
from lpot_examples.errors import DataError

_IMAGENET = 1000
_LABEL_MAP = "label_map.pbtxt"


class RecordLoader(BatchLoader):
    """Yields ``(inputs, labels)`` of records, see `BatchLoader`; labels are class indices from 0.

    Args:
        files: The records.
        rows: The numbers of those to give, in order.
        transform: The network's preprocessing.
        batch_size: Images per batch, at least 1.
        first: The ``image/class/label`` of the first class.
        classes: How many classes there are.

    Raises:
        DataError: While iterating, if a record is damaged, holds no image, or its label is out of
            range; names shard and record.
    """

    def __init__(
        self,
        files: RecordFiles,
        rows: Sequence[int],
        transform: ImageTransform,
        batch_size: int = 1,
        *,
        first: int,
        classes: int,
    ) -> None:
        samples = [Sample(path=Path(files.place(row))) for row in rows]
        super().__init__(samples, transform, batch_size)
        self._files = files
        self._rows = rows
        self._first = first
        self._classes = classes
        self._found: dict[int, int] = {}

    def _load(self, row: int) -> NDArray[np.uint8]:
        from PIL import Image

        number = self._rows[row]
        features, place = self._files.features(number), self._files.place(number)
        self._found[row] = self._index(class_label(features, place), place)
        return self.transform.pixels(Image.fromarray(decoded(features, place)))

    def _label(self, row: int) -> int:
        return self._found[row]

    def _index(self, label: int, place: str) -> int:
        """Return the index from 0 of a stored label, which is -1 where there is none."""
        if not 0 <= label - self._first < self._classes:
            held = "is missing" if label == -1 else f"is {label}"
            raise DataError(
                f"{place}: image/class/label must be in {self._first}-"
                f"{self._first + self._classes - 1}; it {held}. Give records of the classes that "
                "the network knows."
            )
        return label - self._first


def evaluation_records(location: Path | None) -> tuple[Path, ...]:
    """Return the shards to evaluate on, none if the location holds no records.

    Args:
        location: A shard, a folder of them (the set ``val*`` of several), a pattern or the
            beginning of their names.

    Raises:
        DataError: If a set is incomplete, or it is not clear which one is meant.
    """
    if location is None or not holds_records(location):
        return ()
    return shards(location, split="validation")


def open_records(
    location: Path, transform: ImageTransform, batch_size: int, *, classes: int, limit: int | None
) -> RecordLoader:
    """Return the records of `evaluation_records`, or the first ``limit`` of them.

    Raises:
        DataError: If there is none, or ``limit`` is not positive.
    """
    check_limit(limit)
    paths = evaluation_records(location)
    files = RecordFiles(paths)
    rows = range(len(files))[:limit]
    first = _first(paths[0].parent, classes)
    return RecordLoader(files, rows, transform, batch_size, first=first, classes=classes)


def open_calibration_records(
    location: Path, transform: ImageTransform, batch_size: int, *, classes: int
) -> RecordLoader:
    """Return the records to calibrate with: the set ``train*``, else every fifth of the others.

    Raises:
        DataError: If there is none.
    """
    paths = shards(location, split="train")
    evaluated = paths == evaluation_records(location)
    files = RecordFiles(paths)
    rows = range(0, len(files), CALIBRATION_STRIDE if evaluated else 1)
    first = _first(paths[0].parent, classes)
    return RecordLoader(files, rows, transform, batch_size, first=first, classes=classes)


def _first(folder: Path, classes: int) -> int:
    """Return the number of the first class: the label map's, else 1 for ImageNet and 0 for others.

    TensorFlow's ImageNet scripts number from 1 and leave 0 to the background. A label map that
    names other classes than the network's tells nothing.
    """
    file = folder / _LABEL_MAP
    labels = read_labels_file(file, first=0).labels if file.is_file() else ()
    if len(labels) == classes:
        return min(label.number for label in labels)
    return 1 if classes == _IMAGENET else 0
