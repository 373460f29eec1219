"""Strategies whose next question comes from an Optuna sampler.

The study lives in memory, the sampler is seeded and is told every trial in order, so that a
replayed journal leads to the same questions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar

from lpot_examples.graph import TuningConfig
from lpot_examples.search.strategies.lpot import LpotStrategy
from lpot_examples.search.strategies.opwise import OpWise
from lpot_examples.search.trial import Trial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study

# A sampler that only repeats itself for so long has nothing new to ask.
REPEATS = 50


class StudyStrategy(LpotStrategy):
    """See the module's description."""

    fp32_is_an_option: ClassVar[bool] = False

    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield what the sampler suggests, each configuration once."""
        from optuna.trial import TrialState

        start = self.start()
        choices = OpWise(self.context.space, start, fp32=self.fp32_is_an_option)
        fixed = distributions(choices)
        study = new_study(self.sampler())
        if self.fp32_is_an_option:
            study.enqueue_trial(choices.first())
        repeats = 0
        while repeats < REPEATS and len(self._known) < choices.size:
            asked = study.ask(fixed)
            config = choices.config(asked.params)
            before = len(self._known)
            trial = yield from self.attempt(config)
            repeats = repeats + 1 if len(self._known) == before else 0
            if trial is None or trial.loss is None:
                study.tell(asked, state=TrialState.FAIL)
            else:
                study.tell(asked, self.loss(trial, start))

    @abstractmethod
    def sampler(self) -> BaseSampler:
        """Return a seeded sampler."""

    def loss(self, trial: Trial, start: TuningConfig) -> float:
        """Return what the sampler is to minimize; ``start`` is all int8."""
        return trial.excess()


def distributions(choices: OpWise) -> dict[str, BaseDistribution]:
    """Return the options of each choice in Optuna's terms."""
    from optuna.distributions import CategoricalDistribution

    return {key: CategoricalDistribution(options) for key, options in choices.options.items()}


def new_study(sampler: BaseSampler) -> Study:
    """Return a study in memory, without Optuna's message about it."""
    from optuna import create_study, logging

    level = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        return create_study(sampler=sampler)
    finally:
        logging.set_verbosity(level)
