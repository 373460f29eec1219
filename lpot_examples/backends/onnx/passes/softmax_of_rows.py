"""A softmax over an inner axis, such as the channels of an image, gets one axis behind that.

    x [n, c, h, w] ─► Softmax over c ─► y

    x ─► Reshape [n, c, h·w] ─► Softmax over c ─► Reshape [n, c, h, w] ─► y

ONNX Runtime swaps that axis with the last one, computes rows, and swaps them again. With one axis
behind it that is a plain transposition; with several it takes many times what the softmax does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.onnx import proto
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.passes.names import Names, rewrite_nodes
from lpot_examples.backends.onnx.proto import attribute, is_standard


@dataclass(frozen=True)
class Match:
    """A softmax with several axes behind the one that it is over.

    Attributes:
        node: The node.
        axis: That axis, counted from the first.
        behind: The sizes of the axes behind it.
    """

    node: Any
    axis: int
    behind: tuple[int, ...]


def run(model: Any) -> Any:
    """Return the model with all such softmaxes rewritten; the same one if there are none."""
    return rewrite_nodes(model, check, rewrite)


def check(graph: Graph, node: Any) -> Match | str | None:
    """Match a softmax over an inner axis."""
    if not is_standard(node, "Softmax", "LogSoftmax"):
        return None
    shape = graph.shape(node.input[0])
    if shape is None:
        return "the number of axes is not known"
    axis = attribute(node, "axis", -1) % max(len(shape), 1)
    behind = shape[axis + 1 :]
    if len(behind) < 2:
        return None
    if any(size is None for size in behind):
        return "the sizes of the axes behind are not known"
    return Match(node, axis, tuple(int(size or 0) for size in behind))


def rewrite(match: Match, names: Names) -> list[Any]:
    """Return what takes the node's place."""
    node, kept = match.node, [0] * (match.axis + 1)  # 0 keeps a size
    flat = names.constant(f"{node.name}/flat", np.array([*kept, -1], np.int64))
    full = names.constant(f"{node.name}/full", np.array([*kept, *match.behind], np.int64))
    rows, made = names.free(f"{node.name}/rows"), names.free(f"{node.name}/made")
    softmax = proto.copy_of_node(node)
    softmax.input[0], softmax.output[0] = rows, made
    del softmax.attribute[:]
    softmax.attribute.append(proto.node("Softmax", [], "", axis=match.axis).attribute[0])
    return [
        proto.node("Reshape", [node.input[0], flat], rows),
        softmax,
        proto.node("Reshape", [made, full], node.output[0], name=names.free(f"{node.name}/back")),
    ]
