"""LPOT's ``random``: every op's int8 option drawn uniformly, until the bar or the budget is met.

fp32 is not among the options, as in LPOT. Knows no end but that of the budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lpot_examples.search.strategies.study import StudyStrategy

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class Random(StudyStrategy):
    """See the module's description."""

    def sampler(self) -> BaseSampler:
        """Return Optuna's uniform sampler."""
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=self.context.seed)
