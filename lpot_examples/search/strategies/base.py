"""The interface of a search strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass

from lpot_examples.graph import TuningConfig
from lpot_examples.search.space import SearchSpace
from lpot_examples.search.trial import Trial

Probe = Callable[[TuningConfig], float]
"""Label-free output error of a configuration: normalized squared error of the raw outputs against
fp32 on a few calibration samples. 0 is perfect; cheap next to an evaluation."""


@dataclass(frozen=True)
class StrategyContext:
    """What a strategy works with.

    Attributes:
        space: The choices.
        probe: See `Probe`.
        note: Tell the user what the strategy is doing: (text, done, total).
    """

    space: SearchSpace
    probe: Probe
    note: Callable[[str, int, int], None] = lambda text, done, total: None


class Strategy(ABC):
    """Proposes configurations and learns from their trials.

    Subclasses write `run`, a generator that yields a configuration and is sent its trial. The same
    context and the same trials must give the same proposals: a search is resumed by replaying its
    journal.
    """

    def __init__(self, context: StrategyContext) -> None:
        self.context = context
        self._steps = self.run()
        self._trial: Trial | None = None
        self._started = False

    def ask(self) -> TuningConfig | None:
        """Return the next configuration to evaluate, or None when the search is over."""
        try:
            if not self._started:
                self._started = True
                return next(self._steps)
            if self._trial is None:
                raise RuntimeError("ask() was called twice without tell() in between")
            trial, self._trial = self._trial, None
            return self._steps.send(trial)
        except StopIteration:
            return None

    def tell(self, trial: Trial) -> None:
        """Give the result of the configuration that `ask` returned last."""
        self._trial = trial

    @abstractmethod
    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield configurations; each yield evaluates to the finished `Trial`."""
