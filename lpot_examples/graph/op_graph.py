"""Ops and fusion groups, described without reference to a framework."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Precision(StrEnum):
    """What an op computes in."""

    INT8 = "int8"
    FP32 = "fp32"


@dataclass(frozen=True)
class Op:
    """One node of the network.

    Attributes:
        name: Its name in the model.
        type: Its type in the framework's terms, such as ``Conv2D``.
    """

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """Ops that run as one kernel, and are therefore quantized or kept together.

    Attributes:
        name: The name of its main op, by which configurations and specs refer to it.
        type: The main op's type.
        ops: Every op of the group, in order of execution.
        precisions: What it can be; the first is the backend's preference.
        reason: Why int8 is not among them, or an empty string.
        macs: Multiply-accumulates for one sample; 0 if the shapes are not known.
    """

    name: str
    type: str
    ops: tuple[Op, ...]
    precisions: tuple[Precision, ...]
    reason: str = ""
    macs: int = 0

    @property
    def quantizable(self) -> bool:
        """Whether it can run in int8."""
        return Precision.INT8 in self.precisions


@dataclass(frozen=True)
class OpGraph:
    """What a search may know of a network.

    Attributes:
        groups: In order of execution.
        others: Ops outside any group that follow their neighbours (data movement) or stay fp32.
    """

    groups: tuple[Group, ...]
    others: tuple[Op, ...] = ()

    @cached_property
    def quantizable(self) -> tuple[Group, ...]:
        """The groups that can run in int8."""
        return tuple(group for group in self.groups if group.quantizable)

    def group(self, name: str) -> Group:
        """Return a group by name.

        Raises:
            KeyError: If there is none of that name.
        """
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Group]:
        return {group.name: group for group in self.groups}
