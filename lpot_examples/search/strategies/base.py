"""The interface of a search strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lpot_examples.graph import TuningConfig
from lpot_examples.graph.latency import LatencyMap
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
        seed: Where random choices start from; the same seed gives the same proposals.
        max_trials: A strategy that could go on for ever ends after so many.
        keep_going: Whether to go on after the bar is met, for something better, until the budget
            is spent.
        costs: What each choice costs on this host, or None where nothing was measured.
        compare: Measures configurations against each other: milliseconds of each.
        weights: What accuracy and latency weigh in the loss of strategies that minimize one.
    """

    space: SearchSpace
    probe: Probe
    note: Callable[[str, int, int], None] = lambda text, done, total: None
    seed: int = 0
    max_trials: int = 100
    keep_going: bool = False
    weights: tuple[float, float] = (1.0, 1.0)
    costs: LatencyMap | None = None
    compare: Callable[[Sequence[TuningConfig]], list[float]] | None = None


class Strategy(ABC):
    """Proposes configurations and learns from their trials.

    Subclasses write `run`, a generator that yields a configuration and is sent its trial. The same
    context and the same trials must give the same proposals: a search is resumed by replaying its
    journal.

    Attributes:
        ends_at_first_pass: Whether the search ends by itself at the first trial that meets the
            bar, unless the context says to keep going. Otherwise `run` decides.
        foresees: Whether `upcoming` can say anything: proposals do not depend on trials.
        sensitivity: Group name to the label-free error that its reverting removes, where it was
            found out.
        slower: Groups that were left in fp32 because they are measured to be faster there.
    """

    ends_at_first_pass: ClassVar[bool] = False
    foresees: ClassVar[bool] = False

    def __init__(self, context: StrategyContext) -> None:
        self.context = context
        self.sensitivity: dict[str, float] = {}
        self.slower: frozenset[str] = frozenset()
        self._steps = self.run()
        self._asked: TuningConfig | None = None
        self._trial: Trial | None = None
        self._ended = False
        self._count = 0

    def ask(self) -> TuningConfig | None:
        """Return the next configuration to evaluate, or None when the search is over.

        Raises:
            RuntimeError: If the trial of the last configuration was not told.
        """
        if self._ended:
            return None
        if self._asked is not None and self._trial is None:
            raise RuntimeError("ask() was called twice without tell() in between")
        self._asked = None if self._satisfied() else self._advance()
        self._trial, self._ended = None, self._asked is None
        self._count += 1
        return self._asked

    def upcoming(self, count: int) -> list[TuningConfig]:
        """Return what `ask` will return next, whatever the trials until then are; `count` at most.

        Several of these can be evaluated at the same time, ahead of being asked for. The search
        stays what it is: trials are told one by one, in order, and it may end before.
        """
        del count
        return []

    def tell(self, trial: Trial) -> None:
        """Give the result of the configuration that `ask` returned last.

        Raises:
            RuntimeError: If nothing was asked, or it is the trial of something else.
        """
        if self._asked is None or trial.config != self._asked:
            raise RuntimeError("tell() takes the trial of what ask() returned last")
        self._trial = trial

    def plain(self) -> TuningConfig:
        """Return the configuration to ship where accuracy is not checked."""
        config = self.ask()
        assert config is not None
        return config

    @abstractmethod
    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield configurations; each yield evaluates to the finished `Trial`."""

    def _satisfied(self) -> bool:
        """Tell whether the search ends here, whatever `run` has in mind."""
        passed = self._trial is not None and self._trial.met
        ends = self.ends_at_first_pass and not self.context.keep_going
        return self._count >= self.context.max_trials or (passed and ends)

    def _advance(self) -> TuningConfig | None:
        try:
            return next(self._steps) if self._trial is None else self._steps.send(self._trial)
        except StopIteration:
            return None
