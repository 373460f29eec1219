"""An average pool between convolutions becomes a depthwise convolution.

    Conv ─► … ─► AveragePool ─► … ─► Conv      becomes

    Conv ─► … ─► Conv(a group per channel, weights 1 / h·w) ─► … ─► Conv

ONNX Runtime has a fast int8 kernel for the latter. That for the former takes many times what the
pool does in fp32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.onnx import proto
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.kernels import ARITHMETIC, COMPUTE, MOVEMENTS
from lpot_examples.backends.onnx.passes.names import Names, rewrite_nodes
from lpot_examples.backends.onnx.proto import attribute, is_standard

# Beyond this many pixels under the window, the weights would take more than the pool does.
_MOST_PIXELS = 64

# What may stand between the pool and convolutions.
_BETWEEN = (*MOVEMENTS, *ARITHMETIC, "Relu", "Clip")


@dataclass(frozen=True)
class Match:
    """A pool that a convolution can do the work of.

    Attributes:
        node: The node.
        channels: Number of channels.
        window: Its height and width.
    """

    node: Any
    channels: int
    window: tuple[int, int]


def run(model: Any) -> Any:
    """Return the model with all such pools rewritten; the same one if there are none."""
    return rewrite_nodes(model, check, rewrite)


def check(graph: Graph, node: Any) -> Match | str | None:
    """Match an average pool over images, between convolutions."""
    if not is_standard(node, "AveragePool"):
        return None
    shape = graph.shape(node.input[0])
    if shape is None or len(shape) != 4 or shape[1] is None or not graph.is_float32(node.input[0]):
        return "it reads no image of a known number of channels"
    window = tuple(attribute(node, "kernel_shape"))
    pads = attribute(node, "pads", [0])
    padded = any(pads) or attribute(node, "auto_pad", "NOTSET").startswith("SAME")
    if padded and not attribute(node, "count_include_pad", 0):
        return "at the edges it averages fewer pixels"
    if attribute(node, "ceil_mode", 0):
        return "its last window may reach beyond the image"
    if math.prod(window) > _MOST_PIXELS:
        return f"its window is larger than {_MOST_PIXELS} pixels"
    if not _leads(node, _behind(graph)) or not _leads(node, _before(graph)):
        return "it is not between convolutions or products"
    return Match(node, shape[1], (window[0], window[1]))


def rewrite(match: Match, names: Names) -> list[Any]:
    """Return what takes the node's place; it keeps its name."""
    node, window = match.node, match.window
    values = np.full((match.channels, 1, *window), 1 / math.prod(window), np.float32)
    weights = names.constant(f"{node.name}/weights", values)
    kept = ("kernel_shape", "strides", "pads", "auto_pad", "dilations")
    how = {one.name: attribute(node, one.name) for one in node.attribute if one.name in kept}
    made = proto.node(
        "Conv",
        [node.input[0], weights],
        node.output[0],
        name=node.name,
        group=match.channels,
        **how,
    )
    return [made]


def _leads(node: Any, step: Callable[[Any], Iterable[Any]]) -> bool:
    """Tell whether a convolution or product is met on a way, with nothing but `_BETWEEN` before."""
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        for one in step(waiting.pop()):
            if is_standard(one, *COMPUTE):
                return True
            if is_standard(one, *_BETWEEN) and one.name not in seen:
                seen.add(one.name)
                waiting.append(one)
    return False


def _behind(graph: Graph) -> Callable[[Any], Iterable[Any]]:
    return lambda node: (one for tensor in node.output for one in graph.readers(tensor))


def _before(graph: Graph) -> Callable[[Any], Iterable[Any]]:
    return lambda node: (one for t in node.input if (one := graph.maker(t)) is not None)
