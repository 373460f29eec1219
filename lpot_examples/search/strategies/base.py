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
        self._asked: TuningConfig | None = None
        self._trial: Trial | None = None
        self._ended = False

    def ask(self) -> TuningConfig | None:
        """Return the next configuration to evaluate, or None when the search is over.

        Raises:
            RuntimeError: If the trial of the last configuration was not told.
        """
        if self._ended:
            return None
        if self._asked is not None and self._trial is None:
            raise RuntimeError("ask() was called twice without tell() in between")
        try:
            self._asked = (
                next(self._steps) if self._trial is None else self._steps.send(self._trial)
            )
        except StopIteration:
            self._asked, self._ended = None, True
        self._trial = None
        return self._asked

    def tell(self, trial: Trial) -> None:
        """Give the result of the configuration that `ask` returned last.

        Raises:
            RuntimeError: If nothing was asked, or it is the trial of something else.
        """
        if self._asked is None or trial.config != self._asked:
            raise RuntimeError("tell() takes the trial of what ask() returned last")
        self._trial = trial

    @abstractmethod
    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield configurations; each yield evaluates to the finished `Trial`."""
