"""What is fed to a network of any framework: arrays by input name, and what does not fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.calibration.feed import channels_first
from lpot_examples.errors import DataError, ModelError, nearest

Array = NDArray[Any]
Feed = Array | Mapping[str, Array]
Shape = tuple[int | None, ...] | None
Spec = tuple[Shape, np.dtype[Any]]
"""Shape (None for a free dimension or rank) and dtype of an input."""


class Runnable(ABC):
    """A network that is called on a batch, whatever runs it.

    Attributes:
        input_names: Names of its inputs, in the order in which arrays are given.
        output_names: Names of its outputs, in the order in which arrays are returned.
    """

    input_names: tuple[str, ...]
    output_names: tuple[str, ...]

    def __call__(self, batch: Feed) -> Any:
        """Run the model on a batch.

        Args:
            batch: An array, or arrays by input name for several inputs.

        Returns:
            The output array, or a tuple in the order of ``output_names`` for several outputs.
        """
        results = self.run(self.output_names, batch)
        return results[0] if len(results) == 1 else tuple(results)

    @abstractmethod
    def run(self, outputs: Sequence[str], feed: Feed) -> list[Array]:
        """Run the network.

        Args:
            outputs: Names of tensors.
            feed: One array for a model of one input, or arrays by input name.

        Raises:
            DataError: If the arrays do not fit the model's inputs.
        """


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


def check_names(names: Sequence[str], kind: str, found: Sequence[str], source: str) -> None:
    """Refuse names that a network does not have.

    Args:
        names: What was asked for.
        kind: ``input`` or ``output``.
        found: What there is.
        source: The network, for the message.

    Raises:
        ModelError: If one is missing.
    """
    missing = [name for name in names if name not in found]
    if missing:
        raise ModelError(
            f"{source} has no {kind} '{missing[0]}'.{nearest(missing[0], found)} Candidates: "
            f"{', '.join(found) or 'none'}."
        )


class Fitting(Runnable):
    """A network that takes batches as users have them.

    Images may come with their channels last, see `channels_first`. Where the size of a batch is
    built into the network, larger batches are run in parts.

    Attributes:
        source: Where the network came from, for messages.
    """

    source: str
    _specs: Mapping[str, Spec]

    def input_spec(self, name: str) -> Spec:
        """Return the shape (None for a free dimension or rank) and dtype of an input."""
        return self._specs[name]

    @abstractmethod
    def _run(self, outputs: Sequence[str], arrays: Mapping[str, Array]) -> list[Array]:
        """Run the network on arrays that fit its inputs, by name."""

    def _run_fitted(self, outputs: Sequence[str], feed: Feed) -> list[Array]:
        """Run the network on a batch that may have to be moved or taken apart.

        Raises:
            DataError: If the arrays do not fit the inputs.
        """
        arrays = {
            name: channels_first(np.asarray(array), self._specs[name][0])
            for name, array in by_name(feed, self.input_names).items()
        }
        built_in, given = _built_in(self._specs), {len(a) for a in arrays.values() if a.ndim}
        if built_in is None or given == {built_in} or len(given) != 1:
            return self._run(outputs, arrays)
        count, parts = given.pop(), []
        for start in range(0, count, built_in):
            # The last part is filled up.
            rows = np.minimum(np.arange(start, start + built_in), count - 1)
            one = {name: a[rows] if a.ndim else a for name, a in arrays.items()}
            parts.append(self._run(outputs, one))
        for name, result in zip(outputs, parts[0], strict=True):
            if result.ndim == 0 or len(result) != built_in:
                raise DataError(
                    f"{self.source} takes batches of {built_in}, and its output '{name}' "
                    f"{list(result.shape)} cannot be put together from several; give batches of "
                    f"{built_in}."
                )
        return [np.concatenate(column)[:count] for column in zip(*parts, strict=True)]


def _built_in(specs: Mapping[str, Spec]) -> int | None:
    """Return the number of samples that all inputs must have, if that is fixed."""
    sizes = {shape[0] if shape else None for shape, _ in specs.values()}
    return sizes.pop() if len(sizes) == 1 else None


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
