"""Resizing as ``tf.image.resize`` does it (version 2, ``antialias=False``), in NumPy.

Formulas: https://github.com/tensorflow/tensorflow, ``core/kernels/image/resize_bilinear_op.cc``,
``resize_bicubic_op.cc`` and ``resize_nearest_neighbor_op.cc`` with ``half_pixel_centers``. Output
pixel i has its centre at (i + 0.5) · scale − 0.5 of the input, in float32 as there. Pillow and
OpenCV's INTER_AREA average where they shrink; these do not.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
Weights = NDArray[np.float32]

_TABLE = 1024  # TensorFlow looks the cubic kernel up at this many places
_SHARPNESS = -0.5  # Keys' a


def resize(image: Image, size: tuple[int, int], method: str = "bilinear") -> Image:
    """Resize one image.

    Args:
        image: [height, width] or [height, width, channels], any numbers.
        size: (height, width) of the result, pixels.
        method: ``bilinear``, ``bicubic``, ``nearest``, or ``area``: the mean over the area that an
            output pixel covers.

    Returns:
        [*size] or [*size, channels]; float32, except that ``nearest`` keeps the dtype.
    """
    if method == "nearest":
        rows, columns = (_nearest(old, new) for old, new in zip(image.shape, size, strict=False))
        return np.asarray(image[rows][:, columns])
    taps = _AXES[method]
    # Columns first, as TensorFlow does: the order matters in the last bit.
    values = _along(image, 1, *taps(image.shape[1], size[1]))
    return _along(values, 0, *taps(image.shape[0], size[0]))


def _along(values: Image, axis: int, index: NDArray[np.intp], weights: Weights) -> Image:
    """Combine the neighbours of each output pixel along one axis.

    Args:
        values: Any numbers.
        axis: 0 or 1.
        index: [taps, new], input pixels.
        weights: float32 [taps, new]; of two taps only the second's weight counts, as a fraction.
    """
    shape = [1] * values.ndim
    shape[axis] = -1
    if len(index) == 2:
        first, second = (_floats(values.take(place, axis)) for place in index)
        second -= first
        second *= weights[1].reshape(shape)
        second += first
        return second
    total: NDArray[np.float32]
    total = _floats(values.take(index[0], axis)) * weights[0].reshape(shape)
    for place, weight in zip(index[1:], weights[1:], strict=True):
        total += values.take(place, axis) * weight.reshape(shape)
    return total


def _floats(values: Image) -> NDArray[np.float32]:
    return values.astype(np.float32, copy=False)


def _centres(old: int, new: int) -> NDArray[np.float32]:
    scale = np.float32(old) / np.float32(new)
    return (np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale


@lru_cache(maxsize=256)
def _nearest(old: int, new: int) -> NDArray[np.intp]:
    return np.minimum(np.floor(_centres(old, new)).astype(np.intp), old - 1)


@lru_cache(maxsize=256)
def _bilinear(old: int, new: int) -> tuple[NDArray[np.intp], Weights]:
    place = _centres(old, new) - np.float32(0.5)
    below = np.floor(place)
    fraction = place - below
    low = np.maximum(below.astype(np.intp), 0)
    high = np.minimum(np.ceil(place).astype(np.intp), old - 1)
    return np.stack([low, high]), np.stack([1 - fraction, fraction])


@lru_cache(maxsize=256)
def _bicubic(old: int, new: int) -> tuple[NDArray[np.intp], Weights]:
    place = _centres(old, new) - np.float32(0.5)
    below = np.floor(place)
    fraction = np.rint((place - below) * _TABLE) / _TABLE
    taps = np.stack([below.astype(np.intp) + step for step in (-1, 0, 1, 2)])
    weights = np.stack([_keys(np.abs(fraction - step)) for step in (-1, 0, 1, 2)])
    # Taps outside the image do not count, the others share their weight.
    weights *= (taps >= 0) & (taps < old)
    weights /= weights.sum(axis=0)
    return np.clip(taps, 0, old - 1), weights.astype(np.float32)


def _keys(x: NDArray[Any]) -> NDArray[Any]:
    """Keys' cubic kernel at distances 0 to 2 pixels.

    Formula: R. Keys, Cubic convolution interpolation for digital image processing, 1981.
    """
    a = _SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@lru_cache(maxsize=256)
def _area(old: int, new: int) -> tuple[NDArray[np.intp], Weights]:
    """The share of each input pixel in an output pixel; where it enlarges, as bilinear."""
    if new >= old:
        return _bilinear(old, new)
    edges = np.arange(new + 1) * (old / new)
    count = int(np.ceil(old / new)) + 1
    taps = np.floor(edges[:-1]).astype(np.intp) + np.arange(count)[:, None]
    covered = np.minimum(taps + 1, edges[1:]) - np.maximum(taps, edges[:-1])
    weights = np.maximum(covered, 0) * (taps < old)
    return np.minimum(taps, old - 1), (weights / weights.sum(axis=0)).astype(np.float32)


_AXES = {"bilinear": _bilinear, "bicubic": _bicubic, "area": _area}
