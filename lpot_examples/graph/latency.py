"""What every choice of precision costs on this host, as measured, boundaries included.

A *unit* is a fusion group, or an op of data movement between groups: it runs in int8 or in fp32.
A *crossing* is a tensor that must be converted where its maker and a reader differ. The latency of
a configuration is then a sum over units and crossings, which `search.allocation` minimizes exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

from lpot_examples.graph.op_graph import Group


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Something that runs in int8 or in fp32.

    Attributes:
        name: A group's name, or that of an op of data movement.
        group: Whether configurations choose its precision; data movement follows its neighbours.
        int8: Milliseconds in int8, with the fp32 ops behind it that no other unit owns.
        fp32: Milliseconds in fp32, likewise.
    """

    name: str
    group: bool
    int8: float
    fp32: float


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """A tensor between units.

    Attributes:
        tensor: Its name.
        maker: The unit that makes it, or None if that is fp32 whatever is chosen.
        readers: The units that read it.
        outside: Whether something that stays fp32 reads it, too.
        quantize: Milliseconds to turn it into codes, once for all readers.
        dequantize: Milliseconds to turn codes into reals, once for all readers.
    """

    tensor: str
    maker: str | None
    readers: tuple[str, ...]
    outside: bool
    quantize: float
    dequantize: float


@dataclass(frozen=True, kw_only=True)
class LatencyMap:
    """Measured costs of a network on this host.

    Attributes:
        units: By name.
        crossings: Every tensor whose maker and readers can differ.
        rest: Milliseconds of what belongs to no unit.
    """

    units: Mapping[str, Unit]
    crossings: tuple[Crossing, ...]
    rest: float

    def cost(self, int8: Set[str]) -> float:
        """Return the milliseconds of a run with these units in int8 and all others in fp32."""
        total = self.rest
        for unit in self.units.values():
            total += unit.int8 if unit.name in int8 else unit.fp32
        for crossing in self.crossings:
            made = crossing.maker in int8
            read = [reader in int8 for reader in crossing.readers]
            if made and (crossing.outside or not all(read)):
                total += crossing.dequantize
            if not made and any(read):
                total += crossing.quantize
        return total

    def favouring_int8(self, share: float) -> LatencyMap:
        """Return the map with int8 faster by a share, so that fp32 wins by that much or not."""
        units = {
            name: replace(unit, int8=unit.int8 * (1 - share)) for name, unit in self.units.items()
        }
        return replace(self, units=units)

    @property
    def groups(self) -> frozenset[str]:
        """The units whose precision configurations choose."""
        return frozenset(unit.name for unit in self.units.values() if unit.group)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {
            "units": [asdict(unit) for unit in self.units.values()],
            "crossings": [asdict(crossing) for crossing in self.crossings],
            "rest": self.rest,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LatencyMap:
        """Undo `to_dict`."""
        units = [Unit(**unit) for unit in data["units"]]
        crossings = (
            Crossing(**{**crossing, "readers": tuple(crossing["readers"])})
            for crossing in data["crossings"]
        )
        return cls(
            units={unit.name: unit for unit in units},
            crossings=tuple(crossings),
            rest=data["rest"],
        )


def by_macs(groups: Iterable[Group]) -> LatencyMap:
    """Return a map in which a group costs by its multiply-accumulates, and twice that in fp32.

    It stands in where nothing was measured; only its order means anything. All groups together
    take 100 ms in int8.
    """
    work = {group.name: max(group.macs, 1) for group in groups}
    whole = sum(work.values())
    units = {
        name: Unit(name=name, group=True, int8=100 * macs / whole, fp32=200 * macs / whole)
        for name, macs in work.items()
    }
    return LatencyMap(units=units, crossings=(), rest=0.0)
