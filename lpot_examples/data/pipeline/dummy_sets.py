"""Made-up data: dummy, dummy_v2 and sparse_dummy_v2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lpot_examples.data.pipeline.arguments import (
    Dtypes,
    Flag,
    Floats,
    Positive,
    Shapes,
)
from lpot_examples.data.pipeline.arithmetic import as_type
from lpot_examples.data.pipeline.dataset import ArraySamples, DatasetArguments, Samples
from lpot_examples.data.pipeline.places import Places
from lpot_examples.errors import DataError

_T = TypeVar("_T")
Dice = np.random.Generator | np.random.RandomState
_SEED = 9527  # LPOT's
SAMPLES = 1000
"""Samples of dummy_v2 and sparse_dummy_v2, of which LPOT's never end."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One made-up tensor.

    Attributes:
        shape: Its shape.
        low: The least value.
        high: Values are below it.
        dtype: Its type; for whole numbers decimals are cut off, and values kept within its range.
    """

    shape: tuple[int, ...]
    low: float
    high: float
    dtype: str

    def draw(self, dice: Dice, count: int | None = None) -> NDArray[Any]:
        """Return values: of its shape, or ``count`` of them."""
        dtype = np.dtype(self.dtype)
        whole = dtype.kind in "iu"
        size = self.shape if count is None else count
        values = np.asarray(dice.uniform(self.low, self.high, size))
        return as_type(np.trunc(values) if whole else values, dtype)


def tensors(
    shapes: Sequence[tuple[int, ...]],
    *,
    low: Sequence[float],
    high: Sequence[float],
    dtype: Sequence[str],
    where: str,
) -> list[Tensor]:
    """Combine shapes with ranges and types, of which there may be one for all.

    Raises:
        DataError: If their numbers differ, or a range is empty.
    """
    lows = _for_each(low, shapes, key=f"{where}.low")
    highs = _for_each(high, shapes, key=f"{where}.high")
    dtypes = _for_each(dtype, shapes, key=f"{where}.dtype")
    rows = zip(shapes, lows, highs, dtypes, strict=True)
    found = [Tensor(shape=one, low=lo, high=hi, dtype=kind) for one, lo, hi, kind in rows]
    for one in found:
        if one.low > one.high:
            raise DataError(
                f"{where}.low must not be above high; it is {one.low:g} and high is {one.high:g}."
            )
    return found


def _for_each(values: Sequence[_T], shapes: Sequence[object], *, key: str) -> Sequence[_T]:
    if len(values) == 1:
        return list(values) * len(shapes)
    if len(values) != len(shapes):
        raise DataError(
            f"{key} must have one value, or one for each of the {len(shapes)} tensors; it has "
            f"{len(values)}."
        )
    return values


class dummy(DatasetArguments):  # noqa: N801 - LPOT's name
    """Uniform numbers, the same as LPOT's; a shape's first side is the number of samples.

    Several shapes make networks with several inputs. The label is 0, or none.
    """

    shape: Shapes = Field(examples=[[100, 224, 224, 3]])
    low: Floats = (-128.0,)
    high: Floats = (127.0,)
    dtype: Dtypes = ("float32",)
    label: Flag = True

    def open(self, places: Places) -> Samples:
        """Make all samples."""
        parts = tensors(
            self.shape, low=self.low, high=self.high, dtype=self.dtype, where=places.where
        )
        counts = sorted({part.shape[0] for part in parts})
        if len(counts) > 1:
            raise DataError(
                f"{places.where}.shape must give every tensor the same number of samples, its "
                f"first side; it gives {', '.join(map(str, counts))}."
            )
        dice = np.random.RandomState(_SEED)
        arrays = [part.draw(dice) for part in parts]
        labels = np.zeros(counts[0], dtype=np.int64) if self.label else None
        return ArraySamples(arrays[0], labels) if len(arrays) == 1 else _Several(arrays, labels)


class _Several(ArraySamples):
    """Samples of several arrays."""

    def __init__(self, arrays: list[NDArray[Any]], labels: NDArray[Any] | None) -> None:
        super().__init__(arrays[0], labels)
        self._arrays = arrays

    def load(self, row: int) -> tuple[Any, Any]:
        """Return one array of each."""
        return [array[row] for array in self._arrays], self.label(row)


class dummy_v2(DatasetArguments):  # noqa: N801 - LPOT's name
    """Uniform numbers; shapes are those of one sample. The ranges of labels follow the inputs'."""

    input_shape: Shapes = Field(examples=[[224, 224, 3]])
    label_shape: Shapes | None = None
    low: Floats = (-128.0,)
    high: Floats = (127.0,)
    dtype: Dtypes = ("float32",)
    sample_size: Positive = SAMPLES

    def open(self, places: Places) -> Samples:
        """Make nothing yet: samples are made when they are read."""
        labels = self.label_shape or ()
        parts = tensors(
            (*self.input_shape, *labels),
            low=self.low,
            high=self.high,
            dtype=self.dtype,
            where=places.where,
        )
        count = len(self.input_shape)
        return DummySamples(parts[:count], parts[count:], size=self.sample_size)


class DummySamples(Samples):
    """Samples that are made when they are read; the same number gives the same sample."""

    def __init__(self, inputs: list[Tensor], labels: list[Tensor], *, size: int) -> None:
        self._inputs = inputs
        self._labels = labels
        self._size = size

    def __len__(self) -> int:
        """The number of samples."""
        return self._size

    def load(self, row: int) -> tuple[Any, Any]:
        """Return an array, or a list of several; the label likewise."""
        dice = np.random.default_rng((_SEED, row))
        inputs = [self._draw(part, dice, number) for number, part in enumerate(self._inputs)]
        flat = [one for part in inputs for one in part]
        labels = [part.draw(dice) for part in self._labels]
        return flat[0] if len(flat) == 1 else flat, _unwrapped(labels)

    def label(self, row: int) -> Any:
        """Return the label of a sample."""
        return self.load(row)[1]

    def _draw(self, part: Tensor, dice: np.random.Generator, number: int) -> list[NDArray[Any]]:
        return [part.draw(dice)]


def _unwrapped(values: list[Any]) -> Any:
    return None if not values else values[0] if len(values) == 1 else values


class sparse_dummy_v2(DatasetArguments):  # noqa: N801 - LPOT's name
    """Uniform numbers as sparse tensors: indices and values for each shape of one sample.

    ``sparse_ratio`` is the share of elements that are left out.
    """

    dense_shape: Shapes = Field(examples=[[128, 128]])
    label_shape: Shapes | None = None
    sparse_ratio: Floats = (0.5,)
    low: Floats = (-128.0,)
    high: Floats = (127.0,)
    dtype: Dtypes = ("float32",)
    sample_size: Positive = SAMPLES

    def open(self, places: Places) -> Samples:
        """Make nothing yet: samples are made when they are read."""
        count, labels = len(self.dense_shape), self.label_shape or ()
        shapes = (*self.dense_shape, *(labels * count if len(labels) == 1 else labels))
        parts = tensors(shapes, low=self.low, high=self.high, dtype=self.dtype, where=places.where)
        ratios = self.sparse_ratio * count if len(self.sparse_ratio) == 1 else self.sparse_ratio
        if len(ratios) != count or not all(0 <= ratio <= 1 for ratio in ratios):
            raise DataError(
                f"{places.where}.sparse_ratio must be from 0 to 1, one value or one for each of "
                f"the {count} tensors; it is {list(self.sparse_ratio)}."
            )
        if len(parts) not in (count, 2 * count):
            raise DataError(
                f"{places.where}.label_shape must have one shape, or one for each of the {count} "
                f"tensors; it has {len(labels)}."
            )
        return SparseSamples(parts[:count], parts[count:], size=self.sample_size, ratios=ratios)


class SparseSamples(DummySamples):
    """Samples of which the first elements, in row-major order, are there."""

    def __init__(
        self,
        inputs: list[Tensor],
        labels: list[Tensor],
        *,
        size: int,
        ratios: Sequence[float],
    ) -> None:
        super().__init__(inputs, labels, size=size)
        self._ratios = ratios

    def _draw(self, part: Tensor, dice: np.random.Generator, number: int) -> list[NDArray[Any]]:
        count = round(int(np.prod(part.shape)) * (1 - self._ratios[number]))
        indices = np.stack(np.unravel_index(np.arange(count), part.shape), axis=1)
        return [indices.astype(np.int64), part.draw(dice, count)]

    def collate(self, samples: list[tuple[Any, Any]]) -> tuple[Any, Any]:
        """Return a batch as TensorFlow's sparse tensors are: the sample's number comes first."""
        from lpot_examples.data.pipeline.collate import collate

        inputs = []
        for number, column in enumerate(zip(*(sample[0] for sample in samples), strict=True)):
            if number % 2 == 0:
                column = tuple(
                    np.insert(indices, 0, row, axis=1) for row, indices in enumerate(column)
                )
            inputs.append(np.concatenate(column))
        return inputs, collate([sample[1] for sample in samples])
