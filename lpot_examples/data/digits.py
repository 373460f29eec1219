"""Handwritten digits of scikit-learn (UCI "Optical Recognition of Handwritten Digits").

1,797 real digits of 8x8 pixels with 17 grey levels, installed with scikit-learn. A fixed quarter
is held out; training and calibration never see it.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import DataError

HELD_OUT_PER_CLASS = 45
"""Validation digits of each class, 450 of the 1,797 in all."""

_SPLIT_SEED = 1797


class Digits(NamedTuple):
    """Digits and their classes.

    Attributes:
        images: float32 [digits, 8, 8, 1], in [0, 1].
        labels: int64 [digits], 0 to 9.
        rows: int64 [digits], the digits' indices in scikit-learn's data set.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]


def load_digits(split: str) -> Digits:
    """Return one part of a fixed split, each class in its share, in a fixed order.

    Digits of one class are in random order; the classes take turns, so that every stretch of the
    result is balanced.

    Args:
        split: ``train`` (1,347 digits, also the source of calibration) or ``validation`` (450).

    Raises:
        DataError: If the split has another name.
    """
    if split not in ("train", "validation"):
        raise DataError(f"The split must be 'train' or 'validation'; got '{split}'.")
    images, labels = _load()
    order = _shuffled(len(labels))
    rank = np.empty(len(labels), dtype=np.int64)
    for label in range(10):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    turns = np.lexsort((labels, rank))
    held_out = rank[turns] < HELD_OUT_PER_CLASS
    rows = turns[held_out if split == "validation" else ~held_out]
    return Digits(images[rows], labels[rows], rows)


@cache
def _load() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    from sklearn import datasets

    raw = datasets.load_digits()
    images = (raw.images[..., None] / 16).astype(np.float32)
    return images, raw.target.astype(np.int64)


def _shuffled(count: int) -> NDArray[np.int64]:
    """Order by raw PCG64 words, the stream that NumPy promises never to change (NEP 19)."""
    words = np.random.PCG64(_SPLIT_SEED).random_raw(count)
    return np.argsort(words, kind="stable")
