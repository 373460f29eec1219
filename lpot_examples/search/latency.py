"""What every choice of precision costs on this host, as measured, boundaries included.

A *unit* is a fusion group, or an op of data movement between groups: it runs in int8 or in fp32.
A *crossing* is a tensor that must be converted where its maker and a reader differ. The latency of
a configuration is then a sum over units and crossings, which `allocation` minimizes exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass
from typing import Any


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
        batch: Samples a run.
    """

    units: Mapping[str, Unit]
    crossings: tuple[Crossing, ...]
    rest: float
    batch: int = 1

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
            "batch": self.batch,
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
            batch=data["batch"],
        )
