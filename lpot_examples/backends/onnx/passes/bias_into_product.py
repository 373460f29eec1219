"""A bias behind a product of matrices becomes a part of it.

    x [n, k] ─► MatMul(weights) ─► Add(bias) ─► y      becomes      x ─► Gemm(weights, bias) ─► y

ONNX Runtime does this to the finished network anyway, but then the bias is no int32 codes, and
there is no int8 kernel for what comes out. With more dimensions it leaves the two alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lpot_examples.backends.onnx import proto
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.passes.names import Names, replaced
from lpot_examples.backends.onnx.proto import is_standard


@dataclass(frozen=True)
class Match:
    """A product with a bias.

    Attributes:
        product: The MatMul.
        addition: The Add.
        bias: Name of its constant, which has the shape [channels].
    """

    product: Any
    addition: Any
    bias: str


def run(model: Any) -> Any:
    """Return the model with all such products rewritten; the same one if there are none."""
    graph = Graph(model)
    new: dict[str, list[Any]] = {}
    for node in graph.nodes.values():
        match = check(graph, node)
        if isinstance(match, Match):
            new[match.product.name] = []
            new[match.addition.name] = [rewrite(match)]
    return replaced(graph, new, Names(graph).constants) if new else model


def check(graph: Graph, node: Any) -> Match | str | None:
    """Match a product of a matrix with constant weights, and the only op that reads it."""
    if not is_standard(node, "MatMul"):
        return None
    addition = graph.only_reader(node.output[0])
    if addition is None or not is_standard(addition, "Add"):
        return "nothing is added to it"
    shape, weights = graph.shape(node.input[0]), graph.shape(node.input[1])
    if shape is None or len(shape) != 2 or weights is None or len(weights) != 2:
        return "it is no product of two matrices"
    if not graph.is_constant(node.input[1]) or not graph.is_float32(node.input[1]):
        return "its weights are computed at run time, or not float32"
    (bias,) = [name for name in addition.input if name != node.output[0]]
    if not graph.is_constant(bias) or graph.shape(bias) != (weights[1],):
        return "what is added is not one constant per channel"
    return Match(node, addition, bias)


def rewrite(match: Match) -> Any:
    """Return what takes the place of both; it has the product's name."""
    product, addition = match.product, match.addition
    inputs = [product.input[0], product.input[1], match.bias]
    return proto.node("Gemm", inputs, addition.output[0], name=product.name)
