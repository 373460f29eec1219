"""Fold zero padding into the convolution behind it.

    Pad ─► Conv2D(VALID)      Conv2D(EXPLICIT)
                         ══►

Depthwise convolutions keep their Pad in fp32: TensorFlow's grappler aborts the process on an
explicitly padded ``DepthwiseConv2dNative`` (seen with 2.21). Their int8 form absorbs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph, tensor_name

ANCHORS = frozenset({"Conv2D"})


@dataclass(frozen=True)
class Match:
    """A convolution and the padding it absorbs.

    Attributes:
        node: The Conv2D node.
        source: The padded tensor.
        paddings: Eight integers, before and after of N, H, W and C.
    """

    node: Any
    source: str
    paddings: tuple[int, ...]


def check(graph: Graph, node: Any) -> Match | str | None:
    """Match a VALID convolution that reads a Pad of its spatial dimensions by zeros."""
    found = spatial_zero_pad(graph, node)
    if found is None:
        return None
    # TensorFlow's oneDNN pass aborts the process at a convolution that waits (seen with 2.21).
    if any(name.startswith("^") for name in graph.nodes[graph.data_inputs(node)[0][0]].input):
        return "its padding waits for another node"
    return Match(node, *found)


def rewrite(graph: Graph, match: Match) -> None:
    """Move the paddings into the convolution's attributes."""
    graph.set_input(match.node.name, 0, match.source)
    attr = graph.nodes[match.node.name].attr
    attr["padding"].s = b"EXPLICIT"
    attr["explicit_paddings"].list.i[:] = match.paddings


def spatial_zero_pad(graph: Graph, node: Any) -> tuple[str, tuple[int, ...]] | None:
    """Return the source and paddings of the Pad in front of a VALID convolution, if it has one.

    Args:
        graph: The graph.
        node: A Conv2D or DepthwiseConv2dNative of layout NHWC.
    """
    if node.attr["padding"].s != b"VALID" or node.attr["data_format"].s not in (b"", b"NHWC"):
        return None
    pad = graph.nodes[graph.data_inputs(node)[0][0]]
    if pad.name in graph.inputs:
        return None
    if pad.op == "PadV2":
        fill = graph.constant(pad.input[2])
        if fill is None or fill.any():
            return None
    elif pad.op != "Pad":
        return None
    paddings = graph.constant(pad.input[1])
    if paddings is None or paddings.shape != (4, 2) or paddings[[0, 3]].any() or paddings.min() < 0:
        return None
    name, port = graph.data_inputs(pad)[0]
    return tensor_name(name, port), tuple(int(value) for value in paddings.ravel())
