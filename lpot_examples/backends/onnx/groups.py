"""Fusion groups: which nodes of a cleaned graph run together as one int8 kernel.

    x ─► Conv [─► Relu | Clip from 0] ─► y        x ─► Gemm | MatMul ─► y (real values)

An addition has a kernel of its own in ONNX Runtime; it follows its neighbours, see `plan`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.kernels import ARITHMETIC, COMPUTE
from lpot_examples.backends.onnx.proto import Array, attribute, is_standard
from lpot_examples.graph import Group, Op, Precision


@dataclass(frozen=True, kw_only=True)
class ComputeGroup:
    """A linear op with what its kernel absorbs.

    Attributes:
        anchor: Name of the linear op.
        op: Its type.
        source: The data tensor it reads.
        weights: float32 weights in ONNX's layout.
        channel_axis: The axis of the weights that indexes output channels.
        source_axis: The axis of the source that indexes what `mean_axis` of the weights does.
        bias: float32 [channels], or None.
        output: The tensor it makes, activation included.
        members: Every absorbed node's name, in order.
        activation: Type of the absorbed activation, or an empty string.
        groups: Of a convolution.
        macs: Multiply-accumulates per sample, 0 if unknown.
    """

    anchor: str
    op: str
    source: str
    weights: Array
    channel_axis: int
    source_axis: int
    bias: Array | None
    output: str
    members: tuple[str, ...]
    activation: str
    groups: int
    macs: int

    @property
    def channels(self) -> int:
        """Number of output channels."""
        return int(self.weights.shape[self.channel_axis])

    @property
    def depthwise(self) -> bool:
        """Whether each output channel reads one input channel of several."""
        return self.op == "Conv" and self.groups > 1 and self.weights.shape[1] == 1

    @property
    def kernel(self) -> str:
        """What it is to the table of instruction sets; see `host.ExactWeights`."""
        if self.op != "Conv":
            return "matmul"
        same = self.groups == self.channels
        return "depthwise" if self.depthwise and same else "conv"


@dataclass(frozen=True)
class Grouping:
    """Every compute op of a graph.

    Attributes:
        compute: Group name to what a kernel needs, for the groups that can run in int8.
        described: All groups, neutrally described, in order of execution.
    """

    compute: dict[str, ComputeGroup]
    described: tuple[Group, ...]


def find_groups(graph: Graph, *, dynamic: bool = False) -> Grouping:
    """Match fusion groups in a cleaned graph.

    Args:
        graph: The graph.
        dynamic: Whether ranges will be taken while the network runs, which only matrix products
            have kernels for.
    """
    compute: dict[str, ComputeGroup] = {}
    described: list[Group] = []
    for node in graph.nodes.values():
        if not is_standard(node, *COMPUTE):
            continue
        reason = _why_not(graph, node)
        if dynamic and node.op_type == "Conv":
            reason = "ranges taken at run time are for matrix products only"
        if reason:
            ops = (Op(node.name, node.op_type),)
            described.append(
                Group(
                    name=node.name,
                    type=node.op_type,
                    ops=ops,
                    precisions=(Precision.FP32,),
                    reason=reason,
                )
            )
            continue
        group = _match(graph, node)
        compute[node.name] = group
        described.append(_describe(graph, group))
    return Grouping(compute, tuple(described))


def absorbed_activation(graph: Graph, tensor: str) -> Any | None:
    """Return the Relu, or the Clip from 0 on, that alone reads a tensor; else None.

    ONNX Runtime drops it where code 0 stands for 0.0 and nothing above the clip has a code.
    """
    reader = graph.only_reader(tensor)
    if reader is None:
        return None
    if is_standard(reader, "Relu"):
        return reader
    if is_standard(reader, "Clip") and len(reader.input) > 1:
        ends = [graph.constant(name) for name in reader.input[1:] if name]
        if ends and all(end is not None for end in ends) and float(ends[0] or 0) == 0:
            return reader
    return None


def _describe(graph: Graph, group: ComputeGroup) -> Group:
    ops = tuple(Op(member, graph.nodes[member].op_type) for member in group.members)
    both = (Precision.INT8, Precision.FP32)
    return Group(name=group.anchor, type=group.op, ops=ops, precisions=both, macs=group.macs)


def _why_not(graph: Graph, node: Any) -> str:
    """Return why a compute op must stay fp32, or an empty string."""
    if not graph.is_constant(node.input[1]):
        return "its weights are computed at run time"
    if not graph.is_float32(node.input[1]):
        return "its data type is not float32"
    if graph.is_constant(node.input[0]):
        return "its input is a constant"
    rank = len(graph.shape(node.input[1]) or ())
    biased = len(node.input) > 2 and node.input[2]
    if node.op_type == "Conv":
        if rank not in (3, 4):
            return "a convolution over volumes has no int8 kernel here"
    elif rank != 2:
        return "its weights are several matrices, which have no int8 kernel here"
    if node.op_type == "Gemm":
        if attribute(node, "transA", 0):
            return "its input is transposed, which the int8 kernel does not support"
        if attribute(node, "alpha", 1.0) != 1 or (biased and attribute(node, "beta", 1.0) != 1):
            return "it multiplies by alpha or beta, which the int8 kernel does not support"
    if biased:
        shape = graph.shape(node.input[2])
        if not graph.is_constant(node.input[2]) or shape is None or len(shape) != 1:
            return "its bias is not one constant per channel"
        if node.op_type == "Gemm" and shape[0] != _channels(graph, node):
            return "its bias is not one constant per channel"
    return ""


def _channels(graph: Graph, node: Any) -> int | None:
    shape = graph.shape(node.input[1]) or (None, None)
    return shape[0 if attribute(node, "transB", 0) else 1]


def _match(graph: Graph, node: Any) -> ComputeGroup:
    weights = graph.constant(node.input[1])
    assert weights is not None
    members, output, activation = [node.name], node.output[0], ""
    if node.op_type == "Conv" and (behind := absorbed_activation(graph, output)) is not None:
        members.append(behind.name)
        output, activation = behind.output[0], behind.op_type
    has_bias = len(node.input) > 2 and node.input[2]
    first = node.op_type == "Conv" or attribute(node, "transB", 0)
    return ComputeGroup(
        anchor=node.name,
        op=node.op_type,
        source=node.input[0],
        weights=weights,
        channel_axis=0 if first else weights.ndim - 1,
        source_axis=1 if node.op_type == "Conv" else -1,
        bias=graph.constant(node.input[2]) if has_bias else None,
        output=output,
        members=tuple(members),
        activation=activation,
        groups=int(attribute(node, "group", 1)) if node.op_type == "Conv" else 1,
        macs=graph.macs(node),
    )


def made_by(graph: Graph, node: Any) -> tuple[str, tuple[str, ...]]:
    """Return what an op of `kernels.ARITHMETIC` makes, and its members' names."""
    assert node.op_type in ARITHMETIC
    activation = absorbed_activation(graph, node.output[0]) if node.op_type == "Add" else None
    if activation is None:
        return node.output[0], (node.name,)
    return activation.output[0], (node.name, activation.name)
