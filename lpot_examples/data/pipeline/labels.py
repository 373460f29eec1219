"""What an image of a detection data set is labelled with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectionLabel:
    """The objects of one image.

    Unpacks like LPOT's tuple, ``boxes, texts, classes, image_id = label``: there texts are an array
    of bytes and the image id is bytes, as they are in records.

    Attributes:
        image_id: COCO's number; for other data sets the id in the record, or the file's name.
        boxes: float32 [n, 4], ymin, xmin, ymax, xmax as fractions of the image that the network
            is given.
        classes: int64 [n], category ids of the data set, COCO's in its own numbering; [0] where it
            gives names only.
        texts: n class names; none where the data set gives numbers only.
        is_crowd: bool [n], regions that hold many objects (COCO).
        difficult: bool [n], objects that need not be found (VOC).
        area: float32 [n], pixels of the original image that each object covers: of its mask where
            the data set has masks, otherwise of its box.
        size: (height, width) of the original image, pixels.
    """

    image_id: int | str
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    texts: tuple[str, ...]
    is_crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    area: NDArray[np.float32]
    size: tuple[int, int]

    def __len__(self) -> int:
        """The number of objects."""
        return len(self.boxes)

    def __iter__(self) -> Iterator[Any]:
        """Yield boxes, texts, classes and image id, as LPOT's labels do."""
        texts = np.asarray([text.encode() for text in self.texts], dtype=object)
        return iter((self.boxes, texts, self.classes, str(self.image_id).encode()))

    def windowed(self, window: Sequence[float]) -> DetectionLabel:
        """Return the label of a part of the image, or of the image within a larger one.

        Objects outside are left out, others are cut off at the border; their area shrinks with
        their box.

        Args:
            window: ymin, xmin, ymax, xmax of the new image as fractions of this one; they may
                reach beyond it.
        """
        top, left, bottom, right = window
        origin = np.array([top, left, top, left], dtype=np.float64)
        extent = np.array([bottom - top, right - left] * 2, dtype=np.float64)
        moved = (self.boxes.astype(np.float64) - origin) / extent
        boxes = np.clip(moved, 0.0, 1.0)
        before, after = _areas(moved), _areas(boxes)
        kept = (after > 0) | (before <= 0)  # a box without area is no reason to lose the object
        share = np.divide(after, before, out=np.ones_like(after), where=before > 0)
        return replace(
            self._rows(kept),
            boxes=boxes[kept].astype(np.float32),
            area=(self.area * share)[kept].astype(np.float32),
        )

    def mirrored(self, *, horizontally: bool) -> DetectionLabel:
        """Return the label of the mirrored image: left and right, or top and bottom, change."""
        low, high = (1, 3) if horizontally else (0, 2)
        boxes = self.boxes.copy()
        boxes[:, [low, high]] = 1 - self.boxes[:, [high, low]]
        return replace(self, boxes=boxes)

    def _rows(self, kept: NDArray[np.bool_]) -> DetectionLabel:
        return replace(
            self,
            boxes=self.boxes[kept],
            classes=self.classes[kept] if len(self.classes) else self.classes,
            texts=tuple(text for text, keep in zip(self.texts, kept, strict=False) if keep),
            is_crowd=self.is_crowd[kept],
            difficult=self.difficult[kept],
            area=self.area[kept],
        )


class DetectionBatch(tuple[list[Any], ...]):
    """The labels of a batch, ``boxes, texts, classes, image_ids``, a list of each as in LPOT.

    Attributes:
        images: The same, image by image.
        extras: What LPOT's labels lack, one entry for each image: ``is_crowd``, ``difficult``,
            ``area``, ``height`` and ``width``; see `DetectionLabel`.
    """

    images: tuple[DetectionLabel, ...]
    extras: Mapping[str, list[Any]]

    def __new__(cls, images: Sequence[DetectionLabel]) -> DetectionBatch:
        """Collect the labels of at least one image."""
        batch = super().__new__(cls, (list(part) for part in zip(*images, strict=True)))
        batch.images = tuple(images)
        batch.extras = {
            "is_crowd": [one.is_crowd for one in images],
            "difficult": [one.difficult for one in images],
            "area": [one.area for one in images],
            "height": [one.size[0] for one in images],
            "width": [one.size[1] for one in images],
        }
        return batch

    def __getnewargs__(self) -> tuple[tuple[DetectionLabel, ...]]:
        """Tell pickle how to make it again."""
        return (self.images,)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides.prod(axis=1), dtype=np.float64)


def identity(value: str) -> int | str:
    """Return an image id: a number where it is written as one."""
    return int(value) if value.isascii() and value.isdigit() else value
