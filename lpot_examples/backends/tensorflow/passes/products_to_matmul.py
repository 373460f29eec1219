"""Turn products with constant matrices over more than two dimensions into plain ones.

    BatchMatMulV2(x [..., K], W [K, N])      Reshape([-1, K]) ─► MatMul(W) ─► Reshape([..., N])
                                        ══►
    Einsum("abc,cde->abde")(x, W)            Reshape([-1, c]) ─► MatMul(W) ─► Reshape([a, b, d, e])

Only MatMul has an int8 kernel. Dense layers on sequences and the projections of attention come in
these forms. A bias in front of the last Reshape could be absorbed, so an addition of a constant
along the last dimension is taken along.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.graphdef import Array, Graph, tensor_name
from lpot_examples.backends.tensorflow.runtime import import_tensorflow

ANCHORS = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"})


@dataclass(frozen=True)
class Match:
    """A product and the bias behind it.

    Attributes:
        node: The product's node.
        source: Its variable operand.
        weights: float32 [K, N].
        contracted: How many of the operand's last dimensions are summed over.
        made: The dimensions that take their place.
        bias_node: The node that adds a bias, or None.
        bias: float32 [N], or None.
    """

    node: Any
    source: str
    weights: Array
    contracted: int
    made: tuple[int, ...]
    bias_node: str | None
    bias: Array | None


def check(graph: Graph, node: Any) -> Match | str | None:
    """Match a product of a variable with a constant of which no dimension is a batch."""
    operands = [tensor_name(*source) for source in graph.data_inputs(node)]
    weights = graph.constant(operands[1]) if len(operands) == 2 else None
    if weights is None or weights.dtype != np.float32:
        return None
    found = _einsum(node, weights) if node.op == "Einsum" else _batched(node, weights)
    if found is None:
        return "it is no product with one constant matrix"
    matrix, contracted, made = found
    bias_node, bias = _bias(graph, node, made)
    return Match(node, operands[0], matrix, contracted, made, bias_node, bias)


def rewrite(graph: Graph, match: Match) -> None:
    """Put two Reshapes and a MatMul in the place of the product."""
    tf, node = import_tensorflow(), match.node
    last = match.bias_node or node.name
    flat_shape = graph.add_constant(
        f"{last}/flat_shape", np.array([-1, match.weights.shape[0]], np.int32)
    )
    types = {"T": tf.float32, "Tshape": tf.int32}
    flat = graph.add("Reshape", f"{last}/flat", [match.source, flat_shape], **types)
    weights = graph.add_constant(f"{last}/matrix", match.weights)
    flags = {"transpose_a": False, "transpose_b": False}
    control = [name for name in node.input if name.startswith("^")]
    inputs = [flat, weights, *control]
    product = graph.add("MatMul", f"{last}/product", inputs, T=tf.float32, **flags)
    if match.bias is not None:
        bias = graph.add_constant(f"{last}/bias", match.bias)
        product = graph.add(
            "BiasAdd", f"{last}/biased", [product, bias], T=tf.float32, data_format="NHWC"
        )
    graph.add("Reshape", last, [product, _shape(graph, match, last)], **types)


def _shape(graph: Graph, match: Match, name: str) -> str:
    """Add the nodes that compute the result's shape."""
    tf = import_tensorflow()
    shape = graph.add("Shape", f"{name}/shape", [match.source], T=tf.float32, out_type=tf.int32)
    ends = {"begin": 0, "end": -match.contracted, "stride": 1}
    bounds = [
        graph.add_constant(f"{name}/{key}", np.array([value], np.int32))
        for key, value in ends.items()
    ]
    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    leading = graph.add(
        "StridedSlice",
        f"{name}/leading",
        [shape, *bounds],
        T=tf.int32,
        Index=tf.int32,
        **dict.fromkeys(masks, 0),
    )
    made = graph.add_constant(f"{name}/made", np.array(match.made, np.int32))
    axis = graph.add_constant(f"{name}/axis", np.array(0, np.int32))
    return graph.add(
        "ConcatV2", f"{name}/result_shape", [leading, made, axis], T=tf.int32, Tidx=tf.int32, N=2
    )


def _batched(node: Any, weights: Array) -> tuple[Array, int, tuple[int, ...]] | None:
    transposed = node.attr["adj_y"].b or node.attr["grad_y"].b
    if node.attr["adj_x"].b or node.attr["grad_x"].b or any(n != 1 for n in weights.shape[:-2]):
        return None
    if weights.ndim != 2:
        return None  # leading ones may add dimensions to the result
    matrix = weights.T if transposed else weights
    return np.ascontiguousarray(matrix), 1, (int(matrix.shape[1]),)


def _einsum(node: Any, weights: Array) -> tuple[Array, int, tuple[int, ...]] | None:
    """Read an equation of the form ``[batch][summed],[summed][made]->[batch][made]``."""
    equation = node.attr["equation"].s.decode().replace(" ", "")
    parts = re.fullmatch(r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)", equation)
    if parts is None:
        return None
    left, right, result = parts.groups()
    summed = "".join(label for label in right if label in left)
    batch, made = left[: len(left) - len(summed)], right[len(summed) :]
    straight = left == batch + summed and right == summed + made and result == batch + made
    if not straight or not summed or not batch or len({*left, *made}) != len(left) + len(made):
        return None
    sizes = weights.shape[len(summed) :]
    matrix = weights.reshape(int(np.prod(weights.shape[: len(summed)])), -1)
    return matrix, len(summed), tuple(int(size) for size in sizes)


def _bias(graph: Graph, node: Any, made: tuple[int, ...]) -> tuple[str, Array] | tuple[None, None]:
    reader = graph.only_reader(node.name)
    if reader is None or reader.op not in ("Add", "AddV2", "BiasAdd"):
        return None, None
    operands = [tensor_name(*source) for source in graph.data_inputs(reader)]
    bias = graph.constant(operands[1] if operands[0] == node.name else operands[0])
    if bias is None or bias.dtype != np.float32 or bias.shape[-len(made) :] != made:
        return None, None
    if bias.size != int(np.prod(made)):
        return None, None
    return reader.name, bias.reshape(-1)
