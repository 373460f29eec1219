"""Tensors that must share one encoding, and what that encoding must satisfy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lpot_examples.backends.tensorflow.groups import ComputeGroup
from lpot_examples.quantize.encoding import Encoding, asymmetric, symmetric, unsigned

# A range this lopsided wastes most of a bit in a signed code; explicit padding costs less.
_LOPSIDED = 0.5


class Classes:
    """Union–find over tensor names.

    Args:
        names: The tensors, each in a class of its own at first.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._parent = {name: name for name in names}

    @property
    def names(self) -> Iterable[str]:
        """All tensors."""
        return self._parent

    def of(self, name: str) -> str:
        """Return the tensor that stands for the class of a tensor."""
        while self._parent[name] != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name

    def tie(self, names: list[str]) -> None:
        """Put tensors, and with them their classes, into one class."""
        root = self.of(names[0])
        for name in names[1:]:
            self._parent[self.of(name)] = root


class Traits:
    """What the encoding of a class must satisfy.

    Attributes:
        low: Least value, at most 0.
        high: Greatest value, at least 0.
        summing: Anchors of the groups that add a tensor of the class, or make one by adding.
        zero_padded: Whether a reader pads with code 0.
        unknown_pads: Whether such a reader's padding is not known before it runs.
        rectified: Whether a producer relies on saturation at code 0 for its activation.
        depthwise_only: Whether all readers are depthwise convolutions.
        read: Whether an int8 op reads the class at all; if not it is (close to) an output.
    """

    def __init__(self) -> None:
        self.low, self.high = 0.0, 0.0
        self.summing: set[str] = set()
        self.zero_padded = False
        self.unknown_pads = False
        self.rectified = False
        self.depthwise_only = True
        self.read = False

    def extend(self, low: float, high: float) -> None:
        """Widen the range."""
        self.low, self.high = min(self.low, low), max(self.high, high)

    def encoding(self) -> Encoding:
        """Choose the encoding; the table is in the planner's description."""
        if self.low >= 0:
            return unsigned(self.high)
        lopsided = min(-self.low, self.high) < _LOPSIDED * max(-self.low, self.high)
        free = not self.zero_padded or (lopsided and not self.unknown_pads)
        if self.summing or (free and not self.rectified):
            return asymmetric(self.low, self.high)
        return symmetric(self.low, self.high)


def collect_traits(
    classes: Classes,
    active: Mapping[str, ComputeGroup],
    sums: set[str],
    produced: Mapping[str, ComputeGroup],
) -> dict[str, Traits]:
    """Return the traits of every class but for its range.

    Args:
        classes: The classes.
        active: Anchor name to group, for the groups in int8.
        sums: Anchors whose residual addition is fused.
        produced: The tensors that kernels make, and the groups that make them.
    """
    traits = {classes.of(name): Traits() for name in classes.names}
    for anchor, group in active.items():
        reading = traits[classes.of(group.source)]
        reading.read = True
        reading.depthwise_only &= group.op == "DepthwiseConv2dNative"
        reading.zero_padded |= group.zero_padded
        reading.unknown_pads |= group.zero_padded and group.static_pads is None
        if anchor in sums and group.summand is not None:
            traits[classes.of(group.summand)].summing.add(anchor)
            traits[classes.of(group.summand)].read = True
            traits[classes.of(group.output)].summing.add(anchor)
    for name, group in produced.items():
        rectified = group.activation is not None and name == group.output
        traits[classes.of(name)].rectified |= rectified and group.anchor not in sums
    return traits
