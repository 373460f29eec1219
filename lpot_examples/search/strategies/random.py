"""LPOT's ``random``: every op's int8 option drawn uniformly, until the bar or the budget is met.

fp32 is not among the options, as in LPOT. Knows no end but that of the budget.
"""

from __future__ import annotations

from collections.abc import Iterator

from lpot_examples.graph import TuningConfig
from lpot_examples.search.strategies.foreseen import ForeseenStrategy
from lpot_examples.search.strategies.opwise import OpWise
from lpot_examples.search.strategies.study import REPEATS, distributions, new_study


class Random(ForeseenStrategy):
    """See the module's description."""

    def plan(self) -> Iterator[TuningConfig]:
        """Yield what Optuna's uniform sampler draws."""
        from optuna.samplers import RandomSampler
        from optuna.trial import TrialState

        choices = OpWise(self.context.space, self.start(), fp32=False)
        fixed = distributions(choices)
        study = new_study(RandomSampler(seed=self.context.seed))
        seen: set[str] = set()
        repeats = 0
        while repeats < REPEATS and len(seen) < choices.size:
            asked = study.ask(fixed)
            study.tell(asked, state=TrialState.FAIL)  # the sampler does not look at results
            config = choices.config(asked.params)
            repeats = repeats + 1 if config.digest() in seen else 0
            if not repeats:
                seen.add(config.digest())
                yield config
