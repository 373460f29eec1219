"""Fusion groups: which nodes of a cleaned graph run together as one int8 kernel.

    x ─► [Pad ─►] Conv2D ─► BiasAdd [─► AddV2(summand)] [─► Relu] ─► y

becomes one op on eight-bit tensors; DepthwiseConv2dNative and MatMul likewise, without a sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.bodies import groups_in_bodies
from lpot_examples.backends.tensorflow.control_flow import conditional_nodes
from lpot_examples.backends.tensorflow.graphdef import Array, Graph, split_name, tensor_name
from lpot_examples.backends.tensorflow.kernels import ACTIVATIONS, COMPUTE
from lpot_examples.backends.tensorflow.passes.fold_batch_norm import output_channels, per_channel
from lpot_examples.backends.tensorflow.passes.fold_pad import spatial_zero_pad
from lpot_examples.backends.tensorflow.shapes import Shapes
from lpot_examples.backends.tensorflow.sizes import Sizes
from lpot_examples.graph import Group, Op, Precision


@dataclass(frozen=True, kw_only=True)
class ComputeGroup:
    """A linear op with what its kernel absorbs.

    Attributes:
        anchor: Name of the linear op.
        op: Its type.
        source: The data tensor it reads, in front of an absorbed Pad.
        weights: float32 weights in TensorFlow's layout.
        bias: float32 [channels], or None.
        linear: Name of the node that makes the value before sum and activation.
        summand: The other tensor of an absorbed residual addition, or None.
        sum_node: Name of that addition, or None.
        activation: ``Relu``, ``Relu6`` or None.
        output: Name of the last node, whose value the group makes.
        members: Every absorbed node's name, in order.
        explicit_pads: Eight paddings in front of a convolution, or None.
        zero_padded: Whether zeros surround the input (so that code 0 must mean 0.0).
        static_pads: The eight paddings if they are known now, else None.
        tap_shares: float64 [height, width], at which share of the output's positions each tap of
            the window is inside the image; all 1 while sizes are unknown, and for MatMul.
        macs: Multiply-accumulates per sample, 0 if unknown.
    """

    anchor: str
    op: str
    source: str
    weights: Array
    bias: Array | None
    linear: str
    summand: str | None
    sum_node: str | None
    activation: str | None
    output: str
    members: tuple[str, ...]
    explicit_pads: tuple[int, ...] | None
    zero_padded: bool
    static_pads: tuple[int, ...] | None
    tap_shares: Array
    macs: int

    @property
    def channels(self) -> int:
        """Number of output channels."""
        if self.op == "DepthwiseConv2dNative":
            return int(self.weights.shape[2] * self.weights.shape[3])
        return int(self.weights.shape[-1])

    @property
    def channel_axes(self) -> tuple[int, ...]:
        """The weight axes that index output channels."""
        return (2, 3) if self.op == "DepthwiseConv2dNative" else (self.weights.ndim - 1,)


@dataclass(frozen=True)
class Grouping:
    """Every compute op of a graph.

    Attributes:
        compute: Group name to what a kernel needs, for the groups that can run in int8.
        described: All groups, neutrally described, in order of execution.
    """

    compute: dict[str, ComputeGroup]
    described: tuple[Group, ...]


def find_groups(graph: Graph, shapes: Shapes) -> Grouping:
    """Match fusion groups in a cleaned graph.

    Args:
        graph: A graph that went through `passes.clean`; not changed.
        shapes: Its static shapes.
    """
    inside = conditional_nodes(graph)
    sizes = Sizes(graph)
    order = {name: index for index, name in enumerate(graph.topological())}
    compute: dict[str, ComputeGroup] = {}
    described: list[Group] = []
    taken: set[str] = set()
    for name in sorted(order, key=order.__getitem__):
        node = graph.nodes[name]
        if node.op not in COMPUTE:
            continue
        reason = _why_not(graph, node, inside, shapes)
        if reason:
            ops = (Op(name, node.op),)
            described.append(
                Group(name=name, type=node.op, ops=ops, precisions=(Precision.FP32,), reason=reason)
            )
            continue
        group = _match(graph, node, shapes=shapes, sizes=sizes, order=order, taken=taken)
        taken.update(group.members)
        compute[name] = group
        described.append(_describe(graph, group))
    described.extend(groups_in_bodies(graph))
    return Grouping(compute, tuple(described))


def _describe(graph: Graph, group: ComputeGroup) -> Group:
    ops = tuple(Op(member, graph.nodes[member].op) for member in group.members)
    both = (Precision.INT8, Precision.FP32)
    return Group(name=group.anchor, type=group.op, ops=ops, precisions=both, macs=group.macs)


def _why_not(graph: Graph, node: Any, inside: dict[str, str], shapes: Shapes) -> str:
    """Return why a compute op must stay fp32, or an empty string."""
    from tensorflow.core.framework import types_pb2

    if node.name in graph.inputs:
        return "it is an input of the model"
    if node.name in inside:
        return f"inside {inside[node.name]}, where ranges cannot be calibrated"
    if node.attr["T"].type != types_pb2.DT_FLOAT:
        return "its data type is not float32"
    weights = graph.constant(node.input[1])
    if weights is None:
        return "its weights are computed at run time"
    if node.op == "MatMul":
        if node.attr["transpose_a"].b:
            return "its input is transposed, which the int8 kernel does not support"
        return ""
    if node.attr["data_format"].s not in (b"", b"NHWC"):
        return "its layout is NCHW, for which there is no int8 kernel on CPU"
    if node.op == "DepthwiseConv2dNative" and any(d > 1 for d in node.attr["dilations"].list.i):
        return "a dilated depthwise convolution has no int8 kernel"
    source, pads = _source(graph, node)
    single = weights.shape[2] == 1 or (node.op != "Conv2D" and weights.shape[3] > 1)
    if single and _static_pads(node, weights, shapes.of(source), pads) is None:
        return "its int8 kernel needs to know the padding, which depends on the image size"
    if node.op == "Conv2D" and _grouped(node, weights, shapes):
        return "a grouped convolution has no int8 kernel"
    return ""


def _grouped(node: Any, weights: Array, shapes: Shapes) -> bool:
    """Tell whether a filter sees only some of the input's channels."""
    shape = shapes.of(node.input[0])
    channels = shape[-1] if shape else None
    return channels is not None and channels != weights.shape[2]


def _match(
    graph: Graph,
    node: Any,
    *,
    shapes: Shapes,
    sizes: Sizes,
    order: dict[str, int],
    taken: set[str],
) -> ComputeGroup:
    weights = graph.constant(node.input[1])
    assert weights is not None
    if node.op == "MatMul" and node.attr["transpose_b"].b:
        weights = weights.T
    members, linear, bias = [node.name], node.name, None
    reader = graph.only_reader(node.name)
    if reader is not None and (bias := _bias(graph, reader, node, weights)) is not None:
        linear = reader.name
        members.append(linear)
    summand, sum_node = None, None
    if node.op == "Conv2D":
        summand, sum_node = _residual(graph, linear, order=order, taken=taken)
        if summand is not None and not _equal_shapes(linear, summand, shapes, sizes):
            summand, sum_node = None, None
    last = linear if sum_node is None else sum_node
    members.extend([sum_node] if sum_node else [])
    reader = graph.only_reader(last)
    activation = reader.op if reader is not None and reader.op in ACTIVATIONS else None
    if activation and reader is not None:
        last = reader.name
        members.append(last)
    source, pads = _source(graph, node)
    if pads is not None and node.op == "DepthwiseConv2dNative":
        members.insert(0, split_name(node.input[0])[0])
    static = _static_pads(node, weights, shapes.of(source), pads)
    return ComputeGroup(
        anchor=node.name,
        op=node.op,
        source=source,
        weights=weights,
        bias=bias,
        linear=linear,
        summand=summand,
        sum_node=sum_node,
        activation=activation,
        output=last,
        members=tuple(members),
        explicit_pads=pads,
        zero_padded=static is None or any(static),
        static_pads=static,
        tap_shares=_tap_shares(node, weights, shapes.of(source), static),
        macs=_macs(node, weights, shapes),
    )


def _bias(graph: Graph, reader: Any, node: Any, weights: Array) -> Array | None:
    """Return the bias that a reader adds to a linear op's result, or None."""
    if reader.op != "BiasAdd" and reader.op not in ("Add", "AddV2"):
        return None
    operands = [name for name in reader.input if not name.startswith("^")]
    other = operands[1] if split_name(operands[0])[0] == node.name else operands[0]
    bias = graph.constant(other)
    channels = weights.shape[-1] if node.op == "MatMul" else output_channels(node, weights)
    rank = 2 if node.op == "MatMul" else 4
    if bias is None or bias.size != channels or not per_channel(bias, channels, rank=rank):
        return None
    return bias.reshape(-1)


def _residual(
    graph: Graph, linear: str, *, order: dict[str, int], taken: set[str]
) -> tuple[str | None, str | None]:
    """Return (summand tensor, addition node) if an addition of two tensors follows."""
    reader = graph.only_reader(linear)
    if reader is None or reader.op not in ("Add", "AddV2") or reader.name in taken:
        return None, None
    operands = graph.data_inputs(reader)
    other, port = operands[1] if operands[0][0] == linear else operands[0]
    if graph.nodes[other].op == "Const":
        return None, None
    # When both operands end in a convolution, the later one absorbs the sum: its summand is
    # then more likely to be ready and to have no other reader.
    if _ends_in_convolution(graph, other) and order[other] > order[linear]:
        return None, None
    return tensor_name(other, port), reader.name


def _equal_shapes(one: str, other: str, shapes: Shapes, sizes: Sizes) -> bool:
    """Tell whether two tensors surely have equal shapes.

    A size of 1 would be broadcast, which the kernel does not do: it reads past the end.
    """
    here, there = shapes.of(one), shapes.of(other)
    if here is None or there is None or len(here) != 4 or len(there) != 4:
        return False
    if here[3] is None or here[3] != there[3]:
        return False
    return (here == there and None not in here[1:]) or sizes.equal(one, other)


def _ends_in_convolution(graph: Graph, name: str) -> bool:
    node = graph.nodes[name]
    if node.op == "BiasAdd":
        node = graph.nodes[split_name(node.input[0])[0]]
    return node.op == "Conv2D" and graph.only_reader(name) is not None


def _source(graph: Graph, node: Any) -> tuple[str, tuple[int, ...] | None]:
    """Return the tensor that the kernel will read and the explicit paddings it will apply."""
    name, port = graph.data_inputs(node)[0]
    if node.op == "DepthwiseConv2dNative":
        found = spatial_zero_pad(graph, node)
        if found is not None:
            return found
    if node.op != "MatMul" and node.attr["padding"].s == b"EXPLICIT":
        return tensor_name(name, port), tuple(node.attr["explicit_paddings"].list.i)
    return tensor_name(name, port), None


def _static_pads(
    node: Any, weights: Array, shape: tuple[int | None, ...] | None, pads: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """Return the eight paddings that the op will apply, or None while they are unknown."""
    if pads is not None:
        return pads
    if node.op == "MatMul" or node.attr["padding"].s == b"VALID":
        return (0,) * 8
    strides = node.attr["strides"].list.i[1:3]
    dilations = list(node.attr["dilations"].list.i[1:3]) or [1, 1]
    result = [0] * 8
    for axis in (0, 1):
        kernel = (weights.shape[axis] - 1) * dilations[axis] + 1
        stride = strides[axis]
        if kernel <= stride == 1 or kernel == 1:
            continue
        size = shape[1 + axis] if shape is not None and len(shape) == 4 else None
        if size is None and stride != 1:
            return None
        total = (
            kernel - 1
            if size is None
            else max((-(-size // stride) - 1) * stride + kernel - size, 0)
        )
        result[2 + 2 * axis], result[3 + 2 * axis] = total // 2, total - total // 2
    return tuple(result)


def _tap_shares(
    node: Any,
    weights: Array,
    shape: tuple[int | None, ...] | None,
    pads: tuple[int, ...] | None,
) -> Array:
    """Return how often each tap reads the image rather than zero padding."""
    if node.op == "MatMul":
        return np.ones((1, 1))
    shares = [np.ones(taps) for taps in weights.shape[:2]]
    if pads is None or not any(pads) or shape is None or len(shape) != 4:
        return np.outer(*shares)
    for axis in (0, 1):
        size, taps = shape[1 + axis], weights.shape[axis]
        stride = node.attr["strides"].list.i[1 + axis]
        dilation = (list(node.attr["dilations"].list.i) or [1] * 4)[1 + axis]
        before, after = pads[2 + 2 * axis : 4 + 2 * axis]
        if size is None:
            continue
        last = size + before + after - (taps - 1) * dilation - 1
        starts = np.arange(0, last + 1, stride) - before
        places = starts[:, None] + dilation * np.arange(taps)
        if places.size:
            shares[axis] = ((places >= 0) & (places < size)).mean(axis=0)
    return np.outer(*shares)


def _macs(node: Any, weights: Array, shapes: Shapes) -> int:
    if node.op == "MatMul":
        return int(weights.size)
    shape = shapes.of(node.name)
    if shape is None or len(shape) != 4 or shape[1] is None or shape[2] is None:
        return 0
    return int(shape[1] * shape[2] * weights.size)
