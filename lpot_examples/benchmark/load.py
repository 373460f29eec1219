"""How much of the CPU other processes take while we measure."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

_STAT = Path("/proc/stat")
# Columns of a cpu line after its name: user nice system idle iowait irq softirq steal.
# Guest time, in later columns, is already part of user. Time stolen by the hypervisor is foreign.
_BUSY_COLUMNS = (0, 1, 2, 5, 6, 7)


class ForeignLoad:
    """Measures the share of some cores that other processes use between two points in time.

    Args:
        cores: Ids of the CPUs on which the measured processes are pinned.
        stat: The file with the kernel's counters; replaced in tests.
    """

    def __init__(self, cores: Collection[int], *, stat: Path = _STAT) -> None:
        self._cores = frozenset(f"cpu{core}" for core in cores)
        self._stat = stat
        self._start: tuple[float, float | None, float] = (0.0, None, 0.0)

    def start(self, *, own_seconds: float) -> None:
        """Begin an interval.

        Args:
            own_seconds: CPU time that the measured processes have used so far.
        """
        self._start = (time.perf_counter(), self._busy_seconds(), own_seconds)

    def share(self, *, own_seconds: float) -> float | None:
        """Return the foreign share since `start`, 0–1, or None where the system does not say.

        The kernel counts in ticks of 10 ms, so over 0.3 s on two cores it is good to about 0.03.

        Args:
            own_seconds: CPU time that the measured processes have used so far.
        """
        started, busy_before, own_before = self._start
        busy = self._busy_seconds()
        wall = (time.perf_counter() - started) * len(self._cores)
        if busy is None or busy_before is None or wall <= 0:
            return None
        foreign = (busy - busy_before) - (own_seconds - own_before)
        return min(1.0, max(0.0, foreign / wall))

    def _busy_seconds(self) -> float | None:
        try:
            lines = [line.split() for line in self._stat.read_text().splitlines()]
        except OSError:
            return None
        counters = [words[1:] for words in lines if words and words[0] in self._cores]
        if len(counters) != len(self._cores):
            return None
        ticks = sum(int(line[column]) for line in counters for column in _BUSY_COLUMNS)
        return ticks / os.sysconf("SC_CLK_TCK")
