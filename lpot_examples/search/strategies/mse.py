"""LPOT's ``mse``: as ``basic``, with the order of ops from errors instead of evaluations.

LPOT dumps every op's output in fp32 and in int8 and orders ops by their normalized squared error.
Here an op's error is what its int8 adds to the normalized squared error of the network's raw
outputs, all others being int8 too: one label-free probe for each group. An error that later layers
absorb thus counts for little, as it does for accuracy.

For N groups and M calibrations: M evaluations where int8 suffices, up to M + 2N, and N probes.
"""

from __future__ import annotations

from collections.abc import Generator

from lpot_examples.graph import TuningConfig
from lpot_examples.search.strategies.lpot import LpotStrategy
from lpot_examples.search.trial import Trial


class MSE(LpotStrategy):
    """See the module's description."""

    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield calibrations, then what falling back in the order of errors needs."""
        best = yield from self.tune_model_wise()
        if best is not None and not best.met:
            yield from self.fall_back(best, self._by_error(best.config))

    def _by_error(self, config: TuningConfig) -> list[str]:
        """Return the groups' names, the one whose reverting leaves least error first."""
        free = self.context.space.free
        left: dict[str, float] = {}
        for done, group in enumerate(free):
            self.context.note("measuring the error of each op", done, len(free))
            left[group.name] = self.context.probe(config.with_fp32([group.name]))
        self.context.note("measuring the error of each op", len(free), len(free))
        return sorted(left, key=left.__getitem__)
