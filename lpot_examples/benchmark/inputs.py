"""The batch a benchmark feeds: from a file, or noise of the model's own shape and dtype."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import DataError

Array = NDArray[Any]
Shape = tuple[int | None, ...]


class Model(Protocol):
    """What a benchmark needs of a model."""

    input_names: tuple[str, ...]

    def input_spec(self, name: str) -> tuple[Shape | None, np.dtype[Any]]:
        """Return shape (None for a free dimension or rank) and dtype of an input."""

    def __call__(self, batch: dict[str, Array]) -> object:
        """Run the model."""


def make_feed(
    model: Model, *, batch_size: int, input_file: Path | None = None, seed: int = 0
) -> dict[str, Array]:
    """Make one batch.

    Args:
        model: The model to feed.
        batch_size: Samples in the batch; at least 1.
        input_file: ``.npy`` with the samples of the only input, or ``.npz`` with an array for
            each input name. They are repeated or cut to the batch size.
        seed: Seed of the noise, used without a file: uniform in [0, 1) for floating-point
            inputs, 0–255 for integers, False for booleans.

    Raises:
        DataError: If the file does not fit the model, or the model's shape does not say enough.
    """
    arrays = {} if input_file is None else _read(input_file, model.input_names)
    rng = np.random.default_rng(seed)
    feed = {}
    for name in model.input_names:
        shape, dtype = model.input_spec(name)
        if name in arrays:
            feed[name] = _from_file(arrays[name], batch_size).astype(dtype, copy=False)
        else:
            feed[name] = _noise(rng, _full_shape(name, shape, batch_size), dtype, name)
    return feed


def _read(path: Path, names: tuple[str, ...]) -> Mapping[str, Array]:
    try:
        content = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"cannot read the input file {path}: {error}. "
            "Give a .npy file of samples, or a .npz file with one array for each input."
        ) from error
    if isinstance(content, np.ndarray):
        if len(names) == 1:
            return {names[0]: content}
        raise DataError(
            f"{path} holds one array, but the model takes {len(names)} inputs "
            f"({', '.join(names)}). Give a .npz file with an array for each."
        )
    arrays = {key.removesuffix(":0"): content[key] for key in content.files}
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(
            f"{path} has no array named '{missing[0]}'; it has {', '.join(arrays) or 'none'}. "
            f"The model's inputs are {', '.join(names)}."
        )
    return arrays


def _from_file(samples: Array, batch_size: int) -> Array:
    if samples.ndim == 0:
        return samples
    if len(samples) == 0:
        raise DataError("the input file holds no samples; at least one is required.")
    return samples[np.arange(batch_size) % len(samples)]


def _full_shape(name: str, shape: Shape | None, batch_size: int) -> tuple[int, ...]:
    if shape is None or any(size is None for size in shape[1:]):
        known = "unknown rank" if shape is None else f"shape {_text(shape)}"
        raise DataError(
            f"the model's input '{name}' has {known}, so its size cannot be chosen here. "
            "Give a batch with --input_file=batch.npy."
        )
    if shape and shape[0] not in (None, batch_size):
        raise DataError(
            f"the model's input '{name}' has the fixed shape {_text(shape)}, but batch size "
            f"{batch_size} was asked for. Use --batch_size={shape[0]}."
        )
    return tuple(batch_size if size is None else size for size in shape)


def _noise(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> Array:
    if dtype.kind == "b" or not shape:
        return np.zeros(shape, dtype)
    if dtype.kind in "iu":
        high = min(256, int(np.iinfo(dtype).max) + 1)
        return rng.integers(0, high, size=shape).astype(dtype)
    if dtype.kind in "OSU":
        raise DataError(
            f"the model's input '{name}' takes strings, for which no noise can be made. "
            "Give a batch with --input_file=batch.npy."
        )
    return rng.random(size=shape).astype(dtype)


def _text(shape: Shape) -> str:
    return str(["?" if size is None else size for size in shape])
