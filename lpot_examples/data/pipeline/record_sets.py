"""Data sets that are TFRecord shards: TFRecordDataset, ImageRecord, COCORecord, VOCRecord."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from lpot_examples.data.pipeline.arguments import Location, Positive
from lpot_examples.data.pipeline.dataset import DatasetArguments, Samples
from lpot_examples.data.pipeline.parsing import (
    PARSERS,
    LabelOf,
    any_label,
    class_label,
    decoded,
    detection_label,
    voc_label,
)
from lpot_examples.data.pipeline.places import Places
from lpot_examples.data.pipeline.record_files import RecordFiles
from lpot_examples.data.records.reader import shards


class RecordSamples(Samples):
    """The images of records, with the label that a function reads.

    Args:
        files: The records.
        label_of: Reads a label.
    """

    tensors: ClassVar[bool] = True

    def __init__(self, files: RecordFiles, label_of: LabelOf) -> None:
        self._files = files
        self._label_of = label_of

    def __len__(self) -> int:
        """The number of records."""
        return len(self._files)

    def load(self, row: int) -> tuple[Any, Any]:
        """Return the decoded image and the label."""
        features, place = self._files.features(row), self.place(row)
        return decoded(features, place), self._label_of(features, place)

    def label(self, row: int) -> Any:
        """Return the label alone."""
        return self._label_of(self._files.features(row), self.place(row))

    def place(self, row: int) -> str:
        """Return shard and number."""
        return self._files.place(row)


class _RecordSet(DatasetArguments):
    """Shards: a file, a folder, a pattern, or the beginning of their names."""

    root: Location | None = Field(default=None, examples=["data/val.record"])

    def _label_of(self, places: Places) -> LabelOf:
        return any_label

    def open(self, places: Places) -> RecordSamples:
        """Find the shards and index their records."""
        location = places.root(self.root, loose=True)
        files = RecordFiles(self._shards(location, places.split))
        return RecordSamples(files, self._label_of(places))

    def _shards(self, location: Path, split: str | None) -> tuple[Path, ...]:
        return shards(location, split=split)


class TFRecordDataset(_RecordSet):
    """Records of any kind.

    A ParseDecode transform says what they hold; without one the features of each record do.
    """

    def _label_of(self, places: Places) -> LabelOf:
        return any_label if places.parse is None else PARSERS[places.parse]


class ImageRecord(_RecordSet):
    """Photographs with ``image/class/label``, as TensorFlow's ImageNet scripts write them."""

    def _label_of(self, places: Places) -> LabelOf:
        return class_label


class COCORecord(_RecordSet):
    """Images with objects. ``num_cores`` is accepted without effect."""

    num_cores: Positive = 28

    def _label_of(self, places: Places) -> LabelOf:
        return detection_label


class VOCRecord(_RecordSet):
    """Images with masks, or with objects.

    In a folder with several sets it takes ``val*``, as in LPOT, unless the other one is asked for.
    """

    def _label_of(self, places: Places) -> LabelOf:
        return voc_label

    def _shards(self, location: Path, split: str | None) -> tuple[Path, ...]:
        return shards(location, split=split or "validation")
