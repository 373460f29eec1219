"""Which instances × cores are tried, and how a setting is written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lpot_examples.benchmark.pool import BenchmarkError

BATCHES = (1, 2, 4, 8, 16)
"""Batch sizes tried where none are given."""

# Enough to see where throughput turns; a CPU with many divisors has more than can be measured.
_MOST_LAYOUTS = 8
_MOST_THREADS = 8


@dataclass(frozen=True, order=True)
class Layout:
    """Processes on disjoint cores, all alike.

    Attributes:
        instances: How many processes.
        cores: Cores of each, and threads inside one op.
    """

    instances: int
    cores: int

    def __str__(self) -> str:
        return f"{self.instances}×{self.cores}"

    @property
    def total(self) -> int:
        """Cores in use."""
        return self.instances * self.cores


@dataclass(frozen=True, order=True)
class Setting:
    """One way of serving a model.

    Attributes:
        subject: Name of the model, as in the report; it stands for a file and a runtime.
        layout: Instances and their cores.
        batch: Samples in a request.
    """

    subject: str
    layout: Layout
    batch: int

    @property
    def where(self) -> str:
        """Layout and batch, such as ``2×1 b8``."""
        return f"{self.layout} b{self.batch}"

    @property
    def key(self) -> str:
        """A name that no other setting has."""
        return f"{self.subject} {self.where}"


def layouts(
    cores: int,
    *,
    physical: int | None = None,
    instances: Sequence[int] = (),
    cores_per_instance: Sequence[int] = (),
) -> tuple[Layout, ...]:
    """Return the layouts to try, fewest instances first.

    By default those that use all cores: one for each divisor, thinned to eight where there are
    more, and where there are two hardware threads to a core also those on one thread of each. One
    instance on one core comes on top, to compare with.

    Args:
        cores: Cores this process may use.
        physical: How many of them are different physical cores; the first ones are.
        instances: Numbers of instances asked for.
        cores_per_instance: Cores of an instance asked for. Where only one of the two is given, the
            other one is as many as fit.

    Raises:
        BenchmarkError: If nothing that was asked for fits.
    """
    if any(number < 1 for number in (*instances, *cores_per_instance)):
        raise BenchmarkError("--instances and --cores_per_instance must be at least 1.")
    if instances and cores_per_instance:
        found = {Layout(i, c) for i in instances for c in cores_per_instance}
    elif instances:
        found = {Layout(i, max(1, cores // i)) for i in instances}
    elif cores_per_instance:
        found = {Layout(max(1, cores // c), c) for c in cores_per_instance}
    else:
        found = {Layout(1, 1)}
        for used in {cores, min(physical or cores, cores)}:
            found |= {Layout(used // each, each) for each in _sizes(used)}
    fitting = tuple(sorted(layout for layout in found if layout.total <= cores))
    if not fitting:
        least = min(layout.total for layout in found)
        raise BenchmarkError(
            f"the instances asked for need at least {least} cores, but this process may use "
            f"{cores}. Lower --instances or --cores_per_instance."
        )
    return fitting


def thread_layouts(cores: int, *, physical: int | None = None) -> tuple[Layout, ...]:
    """Return single instances of 1 … all cores, among which the lowest latency is looked for.

    Every number up to eight; beyond, steps of about 1.4, the physical cores and all of them.
    """
    counts = set(range(1, min(cores, _MOST_THREADS) + 1)) | {cores, min(physical or cores, cores)}
    step = float(_MOST_THREADS)
    while (step := step * math.sqrt(2)) < cores:
        counts.add(round(step))
    return tuple(Layout(1, count) for count in sorted(counts))


def _sizes(cores: int) -> Iterable[int]:
    """Return numbers of cores for an instance: divisors, or halves where there are hardly any."""
    sizes = [each for each in range(1, cores + 1) if cores % each == 0]
    if len(sizes) < 3:  # a prime: some cores stay idle
        sizes = sorted({*sizes, *(2**power for power in range(1, cores.bit_length() - 1))})
    while len(sizes) > _MOST_LAYOUTS:
        # The one whose neighbours are nearest to each other is missed least.
        gaps = [sizes[i + 1] / sizes[i - 1] for i in range(1, len(sizes) - 1)]
        del sizes[1 + gaps.index(min(gaps))]
    return sizes


def left_out(cores: int, tried: Sequence[Layout]) -> str:
    """Say which even divisions of the cores are not tried; empty if none."""
    divisors = [each for each in range(1, cores + 1) if cores % each == 0]
    missing = [Layout(cores // each, each) for each in divisors]
    names = [str(layout) for layout in sorted(missing) if layout not in tried]
    return f"Not tried: {', '.join(names)} (instances × cores)." if names else ""
