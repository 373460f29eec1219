"""Samples kept aside while calibration data stream by, for what judges the statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lpot_examples.calibration.feed import Array, samples

# Fewer samples than this beyond the calibration data say too little; seen ones are used then.
_FEWEST_UNSEEN = 8


class HeldOut:
    """Keeps a few samples of one pass, if possible of those that statistics have not seen.

    Args:
        most: How many to keep.

    Attributes:
        batches: What was kept, once a pass has ended.
    """

    def __init__(self, most: int) -> None:
        self.batches: list[dict[str, Array]] = []
        self._most = most

    def through(self, batches: Iterable[dict[str, Array]], size: int) -> Iterator[dict[str, Array]]:
        """Yield the first ``size`` samples; keep some of those, or of what follows if it suffices.

        Args:
            batches: By input name, [samples, …] each; at least ``most`` samples more than ``size``,
                if there are any.
            size: How many samples calibrate.
        """
        first: list[dict[str, Array]] = []
        after: list[dict[str, Array]] = []
        seen = 0
        for batch in batches:
            count = samples(batch)
            room = max(0, min(size - seen, count))
            seen += count
            if room:
                self._keep(first, {name: array[:room] for name, array in batch.items()})
                yield {name: array[:room] for name, array in batch.items()}
            if room < count:
                self._keep(after, {name: array[room:] for name, array in batch.items()})
        enough = sum(map(samples, after)) >= _FEWEST_UNSEEN
        self.batches = after if enough else first

    def _keep(self, kept: list[dict[str, Array]], batch: dict[str, Array]) -> None:
        """Add a batch to the samples that are kept, as far as there is room."""
        room = self._most - sum(map(samples, kept))
        if room > 0:
            kept.append({name: array[:room].copy() for name, array in batch.items()})
