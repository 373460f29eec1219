"""Which units to run in int8: exact minima of latency plus λ times sensitivity.

With one binary label per unit and costs at the tensors between units whose labels differ, the sum
is submodular, so a minimum s–t cut gives a global minimum (Kolmogorov and Zabih, "What Energy
Functions Can Be Minimized via Graph Cuts?", 2004). A tensor that several units read is converted
once for all of them; a node of its own in the flow network expresses that.

Sweeping λ visits every vertex of the lower convex hull of (sensitivity, latency): the Pareto list
that a search then walks, without having evaluated anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from lpot_examples.graph.latency import LatencyMap

# Flow capacities are integers: tens of nanoseconds, and this for 'never'. The solver's are 32 bits
# wide, and it sums what enters a node.
_PER_MS = 1e5
_NEVER = 1 << 30
_LARGEST = 1 << 24

# Vertices that a sweep returns at most; far more than a search can tell apart.
_MOST = 64


@dataclass(frozen=True)
class Allocation:
    """A choice of precision for every group.

    Attributes:
        fp32: The groups that run in fp32.
        latency: Milliseconds a run, as the map predicts.
        sensitivity: Sum of the sensitivities of the groups in int8.
    """

    fp32: frozenset[str]
    latency: float
    sensitivity: float


def allocate(
    costs: LatencyMap,
    *,
    fixed_int8: Set[str] = frozenset(),
    fixed_fp32: Set[str] = frozenset(),
    penalties: Mapping[str, float] | None = None,
) -> frozenset[str]:
    """Return the units to run in int8 so that latency plus penalties is least.

    Args:
        costs: The measured costs.
        fixed_int8: Units that must be int8.
        fixed_fp32: Units that must be fp32.
        penalties: Unit name to milliseconds added where it runs in int8; at least 0.
    """
    network = _Network(costs.units)
    for unit in costs.units.values():
        int8, fp32 = unit.int8 + (penalties or {}).get(unit.name, 0.0), unit.fp32
        # Only the difference matters, and capacities must not be negative.
        least = min(int8, fp32)
        never8, never32 = unit.name in fixed_fp32, unit.name in fixed_int8
        network.cost(unit.name, int8=int8 - least, fp32=fp32 - least)
        network.forbid(unit.name, int8=never8, fp32=never32)
    for crossing in costs.crossings:
        network.crossing(
            crossing.maker,
            crossing.readers,
            outside=crossing.outside,
            quantize=crossing.quantize,
            dequantize=crossing.dequantize,
        )
    return network.int8_side()


def predict(costs: LatencyMap, fp32: Set[str]) -> float:
    """Return the milliseconds of a run with these groups in fp32 and all others in int8.

    Data movement takes the precision that is best for it.
    """
    groups = costs.groups
    int8 = allocate(costs, fixed_int8=groups - fp32, fixed_fp32=groups & fp32)
    return costs.cost(int8)


def pareto(
    costs: LatencyMap,
    sensitivities: Mapping[str, float],
    *,
    fixed_int8: Set[str] = frozenset(),
    fixed_fp32: Set[str] = frozenset(),
) -> list[Allocation]:
    """Return the vertices of the lower hull of latency over sensitivity, the fastest first.

    Args:
        costs: The measured costs.
        sensitivities: Group name to how much error it causes in int8; at least 0.
        fixed_int8: Groups that must be int8.
        fixed_fp32: Groups that must be fp32.

    Returns:
        Allocations of rising latency and falling sensitivity; the last has every sensitive group
        in fp32 that may be.
    """

    def solve(weight: float) -> Allocation:
        penalties = {name: weight * value for name, value in sensitivities.items()}
        int8 = allocate(costs, fixed_int8=fixed_int8, fixed_fp32=fixed_fp32, penalties=penalties)
        return _allocation(costs, int8, sensitivities)

    largest = max(sensitivities.values(), default=0.0)
    first = solve(0.0)
    if largest <= 0:
        return [first]
    least = min(value for value in sensitivities.values() if value > 0)
    last = solve(_LARGEST / _PER_MS / least)
    found = {first.fp32: first, last.fp32: last}
    spans = [(first, last)]
    while spans and len(found) < _MOST:
        left, right = spans.pop(0)
        slope = left.sensitivity - right.sensitivity
        if slope <= 0:
            continue
        middle = solve((right.latency - left.latency) / slope)
        if middle.fp32 not in found:
            found[middle.fp32] = middle
            spans += [(left, middle), (middle, right)]
    return _front(found.values())


def refine(
    costs: LatencyMap, front: Sequence[Allocation], sensitivities: Mapping[str, float]
) -> list[Allocation]:
    """Add steps between the vertices of a Pareto list, which can lie far apart.

    From one vertex to the next, groups go to fp32 one by one, the most sensitive first; steps that
    would be slower than the next vertex are left out.

    Args:
        costs: The measured costs.
        front: As `pareto` returns it.
        sensitivities: As given to `pareto`.
    """
    steps = list(front[:1])
    for here, there in pairwise(front):
        fp32, sensitivity = here.fp32, here.sensitivity
        leaving = sorted(there.fp32 - fp32, key=lambda name: (-sensitivities.get(name, 0.0), name))
        for name in leaving[:-1]:
            fp32, sensitivity = fp32 | {name}, sensitivity - sensitivities.get(name, 0.0)
            between = Allocation(fp32, predict(costs, fp32), sensitivity)
            if between.latency < there.latency and sensitivity > there.sensitivity:
                steps.append(between)
        steps.append(there)
    return steps


def _allocation(
    costs: LatencyMap, int8: frozenset[str], sensitivities: Mapping[str, float]
) -> Allocation:
    groups = costs.groups
    total = sum(value for name, value in sensitivities.items() if name in int8)
    return Allocation(groups - int8, costs.cost(int8), total)


def _front(allocations: Iterable[Allocation]) -> list[Allocation]:
    """Drop what another one beats in both respects."""
    front: list[Allocation] = []
    for one in sorted(allocations, key=lambda a: (a.latency, a.sensitivity)):
        if not front or one.sensitivity < front[-1].sensitivity:
            front.append(one)
    return front


class _Network:
    """A flow network: the source's side of its minimum cut is int8.

    Args:
        units: Names of the units.
    """

    _SOURCE, _SINK = 0, 1

    def __init__(self, units: Iterable[str]) -> None:
        self._index = {name: number for number, name in enumerate(units, start=2)}
        self._size = len(self._index) + 2
        self._edges: dict[tuple[int, int], int] = {}

    def cost(self, unit: str, *, int8: float, fp32: float) -> None:
        """Let a unit cost so many milliseconds on either side."""
        node = self._index[unit]
        self._edge(node, self._SINK, _ticks(int8))
        self._edge(self._SOURCE, node, _ticks(fp32))

    def forbid(self, unit: str, *, int8: bool, fp32: bool) -> None:
        """Keep a unit off a side."""
        node = self._index[unit]
        if int8:
            self._edge(node, self._SINK, _NEVER)
        elif fp32:
            self._edge(self._SOURCE, node, _NEVER)

    def crossing(
        self,
        maker: str | None,
        readers: Iterable[str],
        *,
        outside: bool,
        quantize: float,
        dequantize: float,
    ) -> None:
        """Let a tensor cost a conversion if its maker and any of its readers differ."""
        nodes = [self._index[reader] for reader in readers]
        made = self._SINK if maker is None else self._index[maker]
        if nodes:
            entry = self._new()
            self._edge(entry, made, _ticks(quantize))
            for node in nodes:
                self._edge(node, entry, _NEVER)
        if maker is not None and outside:
            self._edge(made, self._SINK, _ticks(dequantize))
        elif maker is not None and nodes:
            leaving = self._new()
            self._edge(made, leaving, _ticks(dequantize))
            for node in nodes:
                self._edge(leaving, node, _NEVER)

    def int8_side(self) -> frozenset[str]:
        """Return the units on the source's side of the largest minimum cut: ties go to int8."""
        if not self._edges:
            return frozenset(self._index)
        import numpy as np
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import breadth_first_order, maximum_flow

        rows, columns = zip(*self._edges, strict=True)
        values = np.minimum(np.array(list(self._edges.values()), np.int64), _NEVER)
        shape = (self._size, self._size)
        capacity = csr_array((values.astype(np.int32), (rows, columns)), shape=shape)
        flow = maximum_flow(capacity, self._SOURCE, self._SINK).flow
        residual = csr_array(capacity - flow)
        residual.data[residual.data < 0] = 0
        residual.eliminate_zeros()
        # What can still reach the sink is on its side.
        reached = breadth_first_order(residual.T.tocsr(), self._SINK, return_predecessors=False)
        other = {int(node) for node in reached}
        return frozenset(name for name, node in self._index.items() if node not in other)

    def _new(self) -> int:
        self._size += 1
        return self._size - 1

    def _edge(self, tail: int, head: int, ticks: int) -> None:
        if ticks > 0 and tail != head:
            self._edges[tail, head] = self._edges.get((tail, head), 0) + ticks


def _ticks(milliseconds: float) -> int:
    return int(min(round(milliseconds * _PER_MS), _LARGEST))
