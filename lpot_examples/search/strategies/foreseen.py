"""Strategies that follow a plan: what they propose does not depend on how trials end."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Generator, Iterator
from itertools import islice
from typing import ClassVar

from lpot_examples.graph import TuningConfig
from lpot_examples.search.strategies.base import StrategyContext
from lpot_examples.search.strategies.lpot import LpotStrategy
from lpot_examples.search.trial import Trial


class ForeseenStrategy(LpotStrategy):
    """See the module's description. Subclasses write `plan`."""

    foresees: ClassVar[bool] = True

    def __init__(self, context: StrategyContext) -> None:
        super().__init__(context)
        self._rest = self.plan()
        self._ahead: deque[TuningConfig] = deque()

    @abstractmethod
    def plan(self) -> Iterator[TuningConfig]:
        """Yield every configuration to try, each once, in order."""

    def run(self) -> Generator[TuningConfig, Trial, None]:
        """Yield what the plan says."""
        while self.upcoming(1):
            yield from self.attempt(self._ahead.popleft())

    def upcoming(self, count: int) -> list[TuningConfig]:
        """Return the next configurations of the plan."""
        self._ahead.extend(islice(self._rest, max(0, count - len(self._ahead))))
        return list(islice(self._ahead, count))
