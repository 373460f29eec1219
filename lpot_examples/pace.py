"""How fast configurations are on this host, measured while a search runs."""

from __future__ import annotations

import statistics as averages
import time
from collections.abc import Mapping, Sequence

from lpot_examples.backends.base import Backend, Model
from lpot_examples.calibration.feed import Array
from lpot_examples.calibration.statistics import Statistics
from lpot_examples.graph import LatencyMap, TuningConfig
from lpot_examples.journal import Journal
from lpot_examples.probe import select

# Runs of each configuration before any that counts, and rounds that count, in turns.
_WARM_UP, _ROUNDS = 3, 15


class Pace:
    """Measures latencies, and remembers them in the journal: a resumed search must not waver.

    Args:
        backend: The network.
        statistics: Calibration statistics by sampling size.
        sample: One sample, by input name.
        journal: Where measurements are remembered.
    """

    def __init__(
        self,
        backend: Backend,
        statistics: Mapping[int, Statistics],
        sample: dict[str, Array],
        journal: Journal,
    ) -> None:
        self._backend = backend
        self._statistics = statistics
        self._sample = sample
        self._journal = journal

    def costs(self, config: TuningConfig) -> LatencyMap | None:
        """Return what each choice costs, or None if the backend cannot tell.

        Args:
            config: Says which groups may be int8 at all.
        """
        digest = config.digest()
        known = self._journal.find("latencies", config=digest)
        if known is not None:
            return LatencyMap.from_dict(known["map"])
        found = self._backend.latencies(config, select(self._statistics, config), self._sample)
        if found is not None:
            self._journal.write("latencies", config=digest, map=found.to_dict())
        return found

    def compare(self, configs: Sequence[TuningConfig]) -> list[float]:
        """Run configurations in turns and return the median milliseconds of each.

        Raises:
            EmitError: If a network cannot be made of one of them.
        """
        digests = [config.digest() for config in configs]
        known = self._journal.find("pace", configs=digests)
        if known is not None:
            return [float(value) for value in known["milliseconds"]]
        models: list[Model] = []
        times: list[list[float]] = [[] for _ in configs]
        try:
            for config in configs:
                models.append(self._backend.emit(config, select(self._statistics, config)))
            for turn in range(_WARM_UP + _ROUNDS):
                for model, spent in zip(models, times, strict=True):
                    started = time.perf_counter()
                    model(self._sample)
                    if turn >= _WARM_UP:
                        spent.append(1000 * (time.perf_counter() - started))
        finally:
            for model in models:
                model.close()
        medians = [averages.median(spent) for spent in times]
        self._journal.write("pace", configs=digests, milliseconds=medians)
        return medians
