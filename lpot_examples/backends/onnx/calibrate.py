"""The calibration pass: runs of the fp32 network over the batches, its inner tensors looked at.

What is wanted of a tensor is computed inside the network (`observed`), so that little is left to do
between two runs, and memory holds what one needs, however many samples there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from lpot_examples.backends.onnx.model import OnnxModel
from lpot_examples.backends.onnx.observed import ObservedNetwork
from lpot_examples.calibration.collected import (
    FEWEST,
    MOST,
    SAMPLE,
    Collected,
    Observation,
    runs,
)
from lpot_examples.calibration.feed import samples
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.calibration.stream import Batch, ahead, any_number, together
from lpot_examples.errors import DataError

# A network is made for each shape of batches; beyond so many, the oldest one goes.
_MOST_SHAPES = 4


def collect(
    proto: Any,
    tensors: Sequence[str],
    batches: Iterable[Batch],
    *,
    sizes: Sequence[int],
    axes: Mapping[str, int],
    progress: Callable[[int], None] | None = None,
) -> dict[int, Statistics]:
    """Collect the statistics of tensors in one pass.

    Minima, maxima and means are of all values. Histograms take the same pseudo-random positions of
    each tensor in every run. Where the network takes batches of any size, several small ones are
    run as one; the next ones are read meanwhile.

    Args:
        proto: The cleaned fp32 network.
        tensors: Names of the tensors to observe.
        batches: Arrays by input name.
        sizes: Numbers of samples after which a snapshot is taken, ascending; the end of the data
            stands for any size it does not reach.
        axes: Tensor name to the axis of its channels, where these are observed as well.
        progress: Called with the number of samples done, after each run.

    Returns:
        Statistics by size.

    Raises:
        ModelError: If a tensor is not finite on the calibration data.
    """
    network = _Network(proto, tensors, axes=axes, each=min(max(SAMPLE // max(sizes), FEWEST), MOST))
    collected = Collected(tensors, sorted(axes), sizes=sizes)
    try:
        groups = ahead(together(network.fitting(batches), network.takes_any, sizes=sizes))
        for seen, count in runs(groups, network.run, refusal=DataError):
            collected.add(seen, count)
            if progress is not None:
                progress(collected.samples)
    finally:
        network.close()
    return collected.by_size()


class _Network:
    """The network that is observed, made for each shape of batches that comes.

    Args:
        proto: The cleaned fp32 network.
        tensors: Names of the tensors to observe.
        axes: Tensor name to the axis of its channels.
        each: Values of a tensor to take of each sample.
    """

    def __init__(
        self, proto: Any, tensors: Sequence[str], *, axes: Mapping[str, int], each: int
    ) -> None:
        self._proto, self._tensors, self._axes, self._each = proto, tensors, axes, each
        self._made: dict[object, ObservedNetwork] = {}
        model = OnnxModel(proto)
        self._shapes = {name: model.input_spec(name)[0] for name in model.input_names}

    def takes_any(self, batch: Batch) -> bool:
        """Tell whether the network takes batches like this one with any number of samples."""
        return any_number(self._shapes[name] for name in batch)

    def fitting(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches; one by one the samples of those for a network that takes one."""
        alone = all(shape and shape[0] == 1 for shape in self._shapes.values())
        for batch in batches:
            if not alone or samples(batch) == 1:
                yield batch
                continue
            for row in range(samples(batch)):
                yield {name: array[row : row + 1] for name, array in batch.items()}

    def run(self, batch: Batch) -> tuple[dict[str, Observation], int]:
        """Run a batch; return what it says of the tensors, and how many samples it has."""
        count = samples(batch)
        shapes = {name: array.shape for name, array in batch.items()}
        key = tuple(sorted(shapes.items()))
        if key not in self._made:
            if len(self._made) == _MOST_SHAPES:
                self._made.pop(next(iter(self._made))).close()
            self._made[key] = ObservedNetwork(
                self._proto,
                self._tensors,
                axes=self._axes,
                shapes=shapes if self._fits(shapes) else {},
                most=self._each * count,
            )
        return self._made[key].run(batch), count

    def close(self) -> None:
        """Release the networks' memory."""
        for one in self._made.values():
            one.close()

    def _fits(self, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Tell whether the network takes arrays of these shapes in one run, as they are."""
        return all(
            wanted is not None
            and len(wanted) == len(shapes[name])
            and all(a in (None, b) for a, b in zip(wanted, shapes[name], strict=True))
            for name, wanted in self._shapes.items()
        )
