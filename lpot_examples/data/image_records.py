"""The images of TFRecord shards, as bytes at their own size."""

from __future__ import annotations

from collections.abc import Sequence

from lpot_examples.data.images import Image, ImageLoader
from lpot_examples.data.loader import Sample
from lpot_examples.data.pipeline.parsing import decoded
from lpot_examples.data.pipeline.record_files import RecordFiles


class ImageRecords(ImageLoader):
    """Yields ``(images, labels)`` as `ImageLoader` does.

    Args:
        files: The records.
        rows: The records' numbers, in the order they are to be given.
        samples: For each of them its label and, where it is known, its size.
        batch_size: Images per batch at most, at least 1.

    Raises:
        DataError: While iterating, if a record is damaged or its image cannot be decoded.
    """

    def __init__(
        self,
        files: RecordFiles,
        rows: Sequence[int],
        *,
        samples: Sequence[Sample],
        batch_size: int = 1,
    ) -> None:
        super().__init__(samples, batch_size)
        self._files = files
        self._rows = tuple(rows)

    def _load(self, row: int) -> Image:
        number = self._rows[row]
        return decoded(self._files.features(number), self._files.place(number))
