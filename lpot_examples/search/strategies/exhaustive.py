"""LPOT's ``exhaustive``: every combination of the ops' int8 options, until ``max_trials``.

fp32 is not among the options, as in LPOT. With two options each, ten groups have a thousand
combinations, so this is for networks of a handful of ops.
"""

from __future__ import annotations

from collections.abc import Iterator

from lpot_examples.graph import TuningConfig
from lpot_examples.search.strategies.foreseen import ForeseenStrategy
from lpot_examples.search.strategies.opwise import OpWise


class Exhaustive(ForeseenStrategy):
    """See the module's description."""

    def plan(self) -> Iterator[TuningConfig]:
        """Yield one combination after another."""
        choices = OpWise(self.context.space, self.start(), fp32=False)
        for values in choices.all():
            yield choices.config(values)
