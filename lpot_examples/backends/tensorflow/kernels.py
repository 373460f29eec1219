"""What TensorFlow's CPU kernels can do in eight bits, as data.

Established by running each op of TensorFlow 2.21 with oneDNN on and off; ``tests`` keep checking.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Carrier(StrEnum):
    """How an op handles eight-bit tensors."""

    QUANTIZED = "quantized"  # the op's own kernel takes quint8 and qint8
    BITCAST = "bitcast"  # it takes uint8 and int8, so a Bitcast goes before and after
    LEAKY = "leaky"  # the larger of the codes and of what a depthwise kernel makes of them
    POOL = "pool"  # a Quantized* op of its own, which takes ranges as well


@dataclass(frozen=True)
class Movement:
    """An op that moves or selects values without computing new ones (pools average at most).

    Attributes:
        carrier: How it runs on eight-bit tensors.
        data: Indices of its data inputs; None means all but the last (ConcatV2).
        type_attr: The attribute that holds the data type.
        shrinks: Its output is never larger than its input, so int8 always pays behind int8.
    """

    carrier: Carrier
    data: tuple[int, ...] | None = (0,)
    type_attr: str = "T"
    shrinks: bool = False


MOVEMENTS: dict[str, Movement] = {
    "ConcatV2": Movement(Carrier.QUANTIZED, data=None),
    "Identity": Movement(Carrier.QUANTIZED),
    "Reshape": Movement(Carrier.QUANTIZED),
    "Squeeze": Movement(Carrier.QUANTIZED),
    "ExpandDims": Movement(Carrier.QUANTIZED),
    "StridedSlice": Movement(Carrier.QUANTIZED, shrinks=True),
    "Slice": Movement(Carrier.QUANTIZED, shrinks=True),
    "Split": Movement(Carrier.QUANTIZED, data=(1,)),
    "SplitV": Movement(Carrier.QUANTIZED),
    "GatherV2": Movement(Carrier.QUANTIZED, type_attr="Tparams"),
    "Transpose": Movement(Carrier.BITCAST),
    "ResizeNearestNeighbor": Movement(Carrier.BITCAST),
    "Pad": Movement(Carrier.BITCAST),
    "Relu": Movement(Carrier.BITCAST),
    "Relu6": Movement(Carrier.BITCAST),
    "LeakyRelu": Movement(Carrier.LEAKY),
    "MaxPool": Movement(Carrier.POOL, shrinks=True),
    "AvgPool": Movement(Carrier.POOL),
}

POOLS = {"MaxPool": "QuantizedMaxPool", "AvgPool": "QuantizedAvgPool"}

# Movements of several outputs; their kernels take quint8, but not qint8.
SPLITS = frozenset({"Split", "SplitV"})

# Compute ops that have an int8 kernel, and the kernel's name.
COMPUTE = {
    "Conv2D": "_FusedQuantizedConv2D",
    "DepthwiseConv2dNative": "_FusedQuantizedDepthwiseConv2D",
    "MatMul": "_QuantizedMatMul",
}

ACTIVATIONS = frozenset({"Relu", "Relu6"})
