"""Turn the mean over a small feature map into a depthwise convolution.

    Mean([1, 2])                          DepthwiseConv2dNative(1 / h·w) ─► Squeeze
                                     ══►
    AvgPool(window = the whole map)       DepthwiseConv2dNative(1 / h·w)

Its int8 kernel gives the means codes of their own: they vary far less than what they average, so
pooling codes, as QuantizedAvgPool does, would leave them few of the 256. A mean that no int8 kernel
reads is (close to) an output and stays as exact as it is.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.graphdef import Graph, tensor_name
from lpot_examples.backends.tensorflow.passes.trunk import Trunk
from lpot_examples.backends.tensorflow.shapes import Shapes

# Beyond this many pixels a convolution takes longer than dequantizing and averaging.
_MOST_PIXELS = 256


@dataclass(frozen=True)
class Match:
    """A mean over the image.

    Attributes:
        node: The node.
        source: The tensor it reads.
        window: Height, width and channels of that tensor.
        flat: Whether the result has no spatial dimensions.
    """

    node: Any
    source: str
    window: tuple[int, int, int]
    flat: bool


def run(graph: Graph, untouchable: Set[str], declined: dict[str, str]) -> int:
    """Rewrite every mean over a feature map that convolutions made; return how many.

    Args:
        graph: Changed in place.
        untouchable: Nodes to leave alone.
        declined: Receives the reason why a mean was left alone, by its name.
    """
    trunk = Trunk(graph)
    anchors = [
        node
        for node in graph
        if node.op in ("Mean", "AvgPool")
        and node.name not in untouchable
        and trunk.channels(tensor_name(*graph.data_inputs(node)[0])) is not None
        and (node.op == "AvgPool" or _spatial(graph, node))
        and trunk.feeds_compute(node.name)
    ]
    if not anchors:
        return 0
    shapes, count = Shapes(graph), 0
    for node in anchors:
        match = check(graph, node, shapes)
        if isinstance(match, str):
            declined[node.name] = match
        elif match is not None:
            rewrite(graph, match)
            count += 1
    return count


def check(graph: Graph, node: Any, shapes: Shapes) -> Match | str | None:
    """Match a mean over the whole of a small feature map of known size."""
    source = tensor_name(*graph.data_inputs(node)[0])
    shape = shapes.of(source)
    if shape is None or len(shape) != 4 or None in shape[1:]:
        return None if node.op == "AvgPool" else "it averages over an image of unknown size"
    height, width, channels = (size or 0 for size in shape[1:])
    if node.op == "AvgPool":
        window = list(node.attr["ksize"].list.i)
        if window != [1, height, width, 1] or node.attr["padding"].s != b"VALID":
            return None
    if channels == 1:
        return None  # fp32 convolutions of one channel can fail (TensorFlow 2.21 with oneDNN)
    if height * width > _MOST_PIXELS:
        return f"it averages over {height}×{width} pixels, which is faster in fp32"
    flat = node.op == "Mean" and not node.attr["keep_dims"].b
    return Match(node, source, (height, width, channels), flat)


def rewrite(graph: Graph, match: Match) -> None:
    """Put the convolution in the place of the mean."""
    node, (height, width, channels) = match.node, match.window
    weights = np.full((height, width, channels, 1), 1 / (height * width), np.float32)
    control = [name for name in node.input if name.startswith("^")]
    name = graph.free_name(f"{node.name}/mean") if match.flat else node.name
    constant = graph.add_constant(graph.free_name(f"{node.name}/weights"), weights)
    graph.add(
        "DepthwiseConv2dNative",
        name,
        [match.source, constant, *control],
        strides=[1, 1, 1, 1],
        dilations=[1, 1, 1, 1],
        padding="VALID",
        explicit_paddings=[],
        data_format="NHWC",
    )
    graph.nodes[name].attr["T"].CopyFrom(node.attr["T"])
    if match.flat:
        graph.add("Squeeze", node.name, [name], squeeze_dims=[1, 2])
        graph.nodes[node.name].attr["T"].CopyFrom(node.attr["T"])


def _spatial(graph: Graph, node: Any) -> bool:
    """Tell whether a Mean goes over the second and third of four dimensions."""
    axes = graph.constant(node.input[1])
    return axes is not None and sorted(int(axis) % 4 for axis in axes.ravel()) == [1, 2]
