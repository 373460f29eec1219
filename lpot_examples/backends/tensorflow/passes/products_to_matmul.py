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
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.graphdef import Array, Graph, tensor_name
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.backends.tensorflow.shapes import Shapes

_ANCHORS = frozenset({"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"})


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


def run(graph: Graph, untouchable: Set[str], declined: dict[str, str]) -> int:
    """Rewrite every product with a constant matrix; return how many.

    Args:
        graph: Changed in place.
        untouchable: Nodes to leave alone.
        declined: Receives the reason why a product was left alone, by its name.
    """
    matches = []
    for node in graph:
        if node.op not in _ANCHORS or node.name in untouchable:
            continue
        match = check(graph, node)
        if isinstance(match, str):
            declined[node.name] = match
        elif match is not None:
            matches.append(match)
    shapes = Shapes(graph) if matches else None
    for match in matches:
        rewrite(graph, match, None if shapes is None else shapes.of(match.source))
    graph.remove_unreachable()
    return len(matches)


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


def rewrite(graph: Graph, match: Match, shape: tuple[int | None, ...] | None) -> None:
    """Put two Reshapes and a MatMul in the place of the product.

    Args:
        graph: Changed in place.
        match: What to rewrite.
        shape: Of the variable operand, as far as it is known.
    """
    tf, node = import_tensorflow(), match.node
    last = match.bias_node or node.name
    control = [
        name
        for step in dict.fromkeys([node.name, last])
        for name in graph.nodes[step].input
        if name.startswith("^")
    ]
    flat_shape = _constant(graph, f"{last}/flat_shape", [-1, match.weights.shape[0]])
    types = {"T": tf.float32, "Tshape": tf.int32}
    flat = graph.add(
        "Reshape", graph.free_name(f"{last}/flat"), [match.source, flat_shape], **types
    )
    weights = graph.add_constant(graph.free_name(f"{last}/matrix"), match.weights)
    flags = {"transpose_a": False, "transpose_b": False}
    product = graph.add(
        "MatMul", graph.free_name(f"{last}/product"), [flat, weights], T=tf.float32, **flags
    )
    if match.bias is not None:
        bias = graph.add_constant(graph.free_name(f"{last}/bias"), match.bias)
        name = graph.free_name(f"{last}/biased")
        product = graph.add("BiasAdd", name, [product, bias], T=tf.float32, data_format="NHWC")
    leading = shape[: len(shape) - match.contracted] if shape is not None else (None, None)
    if leading.count(None) <= 1:
        # A constant: what computes the shape would need the operand's reals.
        sizes = [-1 if size is None else size for size in leading]
        target = _constant(graph, f"{last}/result_shape", [*sizes, *match.made])
    else:
        target = _shape(graph, match, last)
    graph.add("Reshape", last, [product, target, *control], **types)


def _constant(graph: Graph, name: str, values: list[int]) -> str:
    return graph.add_constant(graph.free_name(name), np.array(values, np.int32))


def _shape(graph: Graph, match: Match, name: str) -> str:
    """Add the nodes that compute the result's shape."""
    tf = import_tensorflow()
    shape = graph.add(
        "Shape",
        graph.free_name(f"{name}/shape"),
        [match.source],
        T=tf.float32,
        out_type=tf.int32,
    )
    ends = {"begin": 0, "end": -match.contracted, "stride": 1}
    bounds = [_constant(graph, f"{name}/{key}", [value]) for key, value in ends.items()]
    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    leading = graph.add(
        "StridedSlice",
        graph.free_name(f"{name}/leading"),
        [shape, *bounds],
        T=tf.int32,
        Index=tf.int32,
        **dict.fromkeys(masks, 0),
    )
    made = _constant(graph, f"{name}/made", list(match.made))
    axis = graph.add_constant(graph.free_name(f"{name}/axis"), np.array(0, np.int32))
    return graph.add(
        "ConcatV2",
        graph.free_name(f"{name}/result_shape"),
        [leading, made, axis],
        T=tf.int32,
        Tidx=tf.int32,
        N=2,
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
    """Return the node that adds a bias along the dimensions made, and the bias."""
    reader = graph.only_reader(node.name)
    if reader is None or reader.op not in ("Add", "AddV2", "BiasAdd"):
        return None, None
    if reader.op == "BiasAdd" and reader.attr["data_format"].s not in (b"", b"NHWC"):
        return None, None
    operands = [tensor_name(*source) for source in graph.data_inputs(reader)]
    bias = graph.constant(operands[1] if operands[0] == node.name else operands[0])
    if bias is None or bias.dtype != np.float32 or bias.shape[-len(made) :] != made:
        return None, None
    # The product has one more dimension at least; a bias of higher rank would add some.
    if bias.size != int(np.prod(made)) or bias.ndim > len(made) + 1:
        return None, None
    return reader.name, bias.reshape(-1)
