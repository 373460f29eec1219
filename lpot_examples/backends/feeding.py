"""What is fed to a network of any framework: arrays by input name, and what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import DataError

Array = NDArray[Any]
Feed = Array | Mapping[str, Array]
Shape = tuple[int | None, ...] | None
Spec = tuple[Shape, np.dtype[Any]]
"""Shape (None for a free dimension or rank) and dtype of an input."""


def by_name(feed: Feed, names: Sequence[str]) -> dict[str, Array]:
    """Return what is fed by the names of the inputs.

    Args:
        feed: Arrays by input name, as many in the order of the inputs, or one for a single input.
        names: The inputs.

    Raises:
        DataError: If there are more or fewer, or others.
    """
    if isinstance(feed, Mapping):
        if set(feed) != set(names):
            raise DataError(
                f"the model takes the inputs {', '.join(names)}; the batch has "
                f"{', '.join(map(str, feed)) or 'none'}."
            )
        return dict(feed)
    if len(names) == 1:
        return {names[0]: feed}
    if isinstance(feed, (tuple, list)) and len(feed) == len(names):
        return dict(zip(names, feed, strict=True))
    raise DataError(
        f"the model takes {len(names)} inputs ({', '.join(names)}); "
        "give a mapping from input name to array."
    )


def mismatch(arrays: Mapping[str, Array], specs: Mapping[str, Spec]) -> str:
    """Say for each input what the model takes and what it got; without a full stop."""
    parts = []
    for name, value in arrays.items():
        (shape, dtype), array = specs[name], np.asarray(value)
        parts.append(
            f"the model's input '{name}' takes {dtype.name} {_text(shape)} and got "
            f"{array.dtype.name} {_text(array.shape)}"
        )
    return "; ".join(parts)


def _text(shape: Shape) -> str:
    return "of any shape" if shape is None else str(["?" if d is None else d for d in shape])
