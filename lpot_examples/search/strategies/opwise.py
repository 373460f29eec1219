"""The space of strategies that choose for every op by itself: one option out of a few each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from lpot_examples.graph import TuningConfig
from lpot_examples.search.space import SearchSpace
from lpot_examples.search.strategies.lpot import with_algorithms

FP32 = "fp32"

# Keys of the choices for the whole network; those of groups carry a prefix, to be told apart.
_SAMPLES, _WEIGHTS, _GROUP = "samples", "weights", "group:"

Values = Mapping[str, str]
"""The option chosen under each key."""


class OpWise:
    """Every combination of a range algorithm per group with the network-wide choices.

    Args:
        space: The choices.
        start: The configuration that the others vary.
        fp32: Whether fp32 is an option of the groups that may be fp32.

    Attributes:
        options: The options by key, the preferred one first.
    """

    def __init__(self, space: SearchSpace, start: TuningConfig, *, fp32: bool) -> None:
        self._start = start
        self.options: dict[str, tuple[str, ...]] = {
            _SAMPLES: tuple(str(size) for size in sorted(space.sizes, reverse=True)),
            _WEIGHTS: space.weight_algorithms,
        }
        free = {group.name for group in space.free}
        for group in space.int8_groups:
            own = space.algorithms_of(group.name)
            extra = (FP32,) if fp32 and group.name in free else ()
            self.options[_GROUP + group.name] = own + extra

    @property
    def size(self) -> int:
        """The number of combinations."""
        return math.prod(map(len, self.options.values()))

    def first(self) -> dict[str, str]:
        """Return the preferred option everywhere: all int8."""
        return {key: options[0] for key, options in self.options.items()}

    def all(self) -> Iterator[Values]:
        """Yield every combination, the last group's options changing fastest."""
        for values in itertools.product(*self.options.values()):
            yield dict(zip(self.options, values, strict=True))

    def config(self, values: Values) -> TuningConfig:
        """Return the configuration of a combination."""
        groups = {
            key.removeprefix(_GROUP): value
            for key, value in values.items()
            if key.startswith(_GROUP)
        }
        reverted = [name for name, value in groups.items() if value == FP32]
        config = replace(
            self._start, samples=int(values[_SAMPLES]), weight_algorithm=values[_WEIGHTS]
        )
        int8 = {name: value for name, value in groups.items() if value != FP32}
        return with_algorithms(config, int8).with_fp32(reverted)
