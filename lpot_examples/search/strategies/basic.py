"""LPOT 1.x's ``basic``: model-wise candidates, then ops back to fp32, judged by full evaluations.

1. Each calibration of the whole network is evaluated.
2. From the best of them, each group alone goes back to fp32, from the output to the input.
3. In the order of the accuracy they gained, groups are reverted and kept so if that helps.
4. Groups are reverted together, ever more of them in that order.

For N groups and M calibrations this costs M evaluations where int8 suffices and up to M + 3N.
"""

from __future__ import annotations

from collections.abc import Generator

from lpot_examples.graph import TuningConfig
from lpot_examples.search.strategies.lpot import LpotStrategy
from lpot_examples.search.trial import Trial


class Basic(LpotStrategy):
    """See the module's description."""

    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield the steps above; falling back only where no calibration suffices."""
        best = yield from self.tune_model_wise()
        if best is None or best.met:
            return
        excess: dict[str, float] = {}
        for group in reversed(self.context.space.free):
            trial = yield from self.attempt(best.config.with_fp32([group.name]))
            excess[group.name] = float("inf") if trial is None else trial.excess()
        # Where two gained as much, the one nearer to the output stays first.
        yield from self.fall_back(best, sorted(excess, key=excess.__getitem__))
