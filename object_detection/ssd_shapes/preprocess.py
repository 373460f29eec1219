"""What the input of ssd_shapes looks like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lpot_examples.data.arrays import ArrayBatches
from lpot_examples.data.shapes import Scene


def preprocess(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return RGB bytes [batch, 96, 96, 3] as float32 in [-1, 1]."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def scene_batches(scenes: Sequence[Scene], batch_size: int) -> ArrayBatches:
    """Return batches of the scenes' float32 [n, 96, 96, 3] with their COCO image ids."""
    images = preprocess(np.stack([scene.image for scene in scenes]))
    ids = np.asarray([scene.seed for scene in scenes], dtype=np.int64)
    return ArrayBatches(images, ids, batch_size=batch_size)
