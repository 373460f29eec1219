"""What int8 is compared with, when tensors inside the network are compared in place of outputs.

Boxes in front of a suppression are mostly their anchors: what all samples share is large, and
errors beside it look small. So it is taken from inner tensors before they are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.backends.base import Reference

Array = NDArray[Any]


def references_of(
    found: Sequence[Sequence[Array]], *, given: Sequence[str] = (), inner: bool
) -> list[Reference]:
    """Return the references of batches.

    Args:
        found: For each batch what the fp32 network makes: the tensors that are compared, then
            those that the int8 network is given.
        given: Names of the latter.
        inner: Whether other tensors than the outputs are compared.
    """
    outputs = [one[: len(one) - len(given)] for one in found]
    shared = [_mean(arrays) for arrays in zip(*outputs, strict=True)] if inner else []
    return [
        Reference(
            _without(shared, compared),
            dict(zip(given, one[len(compared) :], strict=True)),
            shared,
        )
        for one, compared in zip(found, outputs, strict=True)
    ]


def without_shared(reference: Reference, arrays: Sequence[Array]) -> list[Array]:
    """Return what another network makes of a reference's batch, to be compared with it."""
    return _without(reference.shared, arrays)


def _without(shared: Sequence[Array], arrays: Sequence[Array]) -> list[Array]:
    if not shared:
        return list(arrays)
    return [array - one for array, one in zip(arrays, shared, strict=True)]


def _mean(arrays: Sequence[Array]) -> Array:
    """Return the mean over all samples, [1, …] or a scalar; zero where there is none.

    There is none of a single sample, nor of samples of different shapes.
    """
    rows = [np.atleast_1d(array) for array in arrays]
    if len({one.shape[1:] for one in rows}) > 1 or sum(map(len, rows)) < 2:
        return np.zeros(1, rows[0].dtype)
    return np.asarray(np.mean(np.concatenate(rows), axis=0, keepdims=True))
