"""How each op is turned from the layout NCHW to NHWC, as a table.

A rule looks at one node that could read NHWC tensors, and gives the `Step` that converts it, the
reason (a string) why an NCHW op cannot be converted, or None where the node is not its case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.definitions import dtype_of
from lpot_examples.backends.tensorflow.graphdef import Array, Graph
from lpot_examples.backends.tensorflow.runtime import import_tensorflow

TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)
# Dimension d of NCHW is dimension AXIS[d] of NHWC.
AXIS = (0, 3, 1, 2)

Convert = Callable[[Graph, Any], None]


@dataclass(frozen=True, kw_only=True)
class Step:
    """How one node is converted.

    Attributes:
        data: Indices of the inputs that become NHWC, of four dimensions.
        convert: Adapts a copy of the node: its attributes and its other inputs.
        ports: Output ports that become NHWC; empty if the node's results stay what they were.
        starts: Whether the node is a reason to convert: it has NCHW in an attribute.
        mixes: Whether its data inputs are broadcast against each other.
        vector: Whether it makes a shape, whose elements must be put back into the order NCHW.
    """

    data: tuple[int, ...]
    convert: Convert
    ports: tuple[int, ...] = (0,)
    starts: bool = False
    mixes: bool = False
    vector: bool = False


Rule = Callable[[Graph, Any], Step | str | None]


def permuted(values: Sequence[Any]) -> list[Any]:
    """Return what is given for N, C, H, W in the order N, H, W, C."""
    return [values[axis] for axis in TO_NHWC]


def permute_rows(graph: Graph, node: Any, index: int) -> None:
    """Let input ``index``, whose first dimension has a row for each of NCHW, be in NHWC order."""
    source = node.input[index]
    value = graph.constant(source)
    name = graph.free_name(f"{node.name}/input_{index}_nhwc")
    if value is not None:
        node.input[index] = graph.add_constant(name, value[list(TO_NHWC)])
    else:
        node.input[index] = gather(graph, name, source, TO_NHWC)


def gather(graph: Graph, name: str, source: str, order: Sequence[int]) -> str:
    """Add nodes that reorder a tensor along its first dimension; return the last one's name."""
    tf = import_tensorflow()
    indices = graph.add_constant(graph.free_name(f"{name}/order"), np.array(order, np.int32))
    axis = graph.add_constant(graph.free_name(f"{name}/axis"), np.array(0, np.int32))
    types = {"Tparams": dtype_of(graph, source), "Tindices": tf.int32, "Taxis": tf.int32}
    return graph.add("GatherV2", name, [source, indices, axis], **types, batch_dims=0)


def _nchw(*, data: int = 0, sizes: int | None = None) -> Rule:
    """Make the rule of an op with a ``data_format`` attribute."""

    def convert(graph: Graph, node: Any) -> None:
        for key in {"strides", "ksize", "dilations"} & set(node.attr):
            node.attr[key].list.i[:] = permuted(node.attr[key].list.i)
        if "explicit_paddings" in node.attr and node.attr["explicit_paddings"].list.i:
            pads = node.attr["explicit_paddings"].list.i
            pairs = permuted([pads[place : place + 2] for place in range(0, 8, 2)])
            pads[:] = [pad for pair in pairs for pad in pair]
        node.attr["data_format"].s = b"NHWC"
        if sizes is not None:
            permute_rows(graph, node, sizes)

    def rule(graph: Graph, node: Any) -> Step | str | None:
        layout = node.attr["data_format"].s
        if layout == b"NCHW":
            return Step(data=(data,), convert=convert, starts=True)
        return f"its layout is {layout.decode()}" if layout == b"NCHW_VECT_C" else None

    return rule


def _unary(graph: Graph, node: Any) -> Step:
    return Step(data=(0,), convert=_nothing)


def _nothing(graph: Graph, node: Any) -> None:
    """Convert nothing: the op does not care for the order of dimensions."""


def _broadcast(graph: Graph, node: Any) -> Step:
    count = len(graph.data_inputs(node))
    return Step(data=tuple(range(count)), convert=_nothing, mixes=True)


def _rows(*indices: int) -> Rule:
    """Make the rule of an op whose inputs ``indices`` have one row for each dimension."""

    def rule(graph: Graph, node: Any) -> Step | None:
        if any(graph.constant(node.input[index]) is None for index in indices):
            return None

        def convert(graph: Graph, copy: Any) -> None:
            for index in indices:
                permute_rows(graph, copy, index)

        return Step(data=(0,), convert=convert)

    return rule


def _axis(*, index: int, data: Callable[[int], tuple[int, ...]], outputs: str = "") -> Rule:
    """Make the rule of an op along one axis, which stays.

    Args:
        index: Which input is the axis; negative counts from the end.
        data: Returns the indices of the data inputs for a number of inputs.
        outputs: The attribute that holds the number of outputs, if there are several.
    """

    def rule(graph: Graph, node: Any) -> Step | None:
        count = len(graph.data_inputs(node))
        place = index % count
        axis = graph.constant(node.input[place])
        if axis is None:
            return None

        def convert(graph: Graph, copy: Any) -> None:
            moved = np.array(AXIS[int(axis) % 4], axis.dtype)
            copy.input[place] = graph.add_constant(f"{copy.name}/axis_nhwc", moved)

        ports = tuple(range(node.attr[outputs].i)) if outputs else (0,)
        return Step(data=data(count), convert=convert, ports=ports)

    return rule


def _reduction(graph: Graph, node: Any) -> Step | None:
    axes = graph.constant(node.input[1])
    if axes is None:
        return None
    moved = np.array([AXIS[int(axis) % 4] for axis in axes.reshape(-1)], axes.dtype)
    kept = "keep_dims" in node.attr and node.attr["keep_dims"].b
    if not kept and not _same_order({int(axis) % 4 for axis in axes.reshape(-1)}):
        return None

    def convert(graph: Graph, copy: Any) -> None:
        name = f"{copy.name}/axes_nhwc"
        copy.input[1] = graph.add_constant(name, moved.reshape(axes.shape))

    return Step(data=(0,), convert=convert, ports=(0,) if kept else ())


def _same_order(removed: set[int]) -> bool:
    """Tell whether the dimensions that stay have the same order in NCHW and NHWC."""
    return 1 in removed or {2, 3} <= removed


def _squeeze(graph: Graph, node: Any) -> Step | None:
    axes = [axis % 4 for axis in node.attr["squeeze_dims"].list.i]
    if not axes or not _same_order(set(axes)):
        return None

    def convert(graph: Graph, copy: Any) -> None:
        copy.attr["squeeze_dims"].list.i[:] = [AXIS[axis] for axis in axes]

    return Step(data=(0,), convert=convert, ports=())


def _strided_slice(graph: Graph, node: Any) -> Step | None:
    bounds = [graph.constant(source) for source in node.input[1:4]]
    masks = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    if any(bound is None for bound in bounds) or any(node.attr[mask].i for mask in masks):
        return None

    def convert(graph: Graph, copy: Any) -> None:
        for index, (bound, fill) in enumerate(zip(bounds, (0, 0, 1), strict=True), start=1):
            full = _filled(bound, fill)
            name = f"{copy.name}/input_{index}_nhwc"
            copy.input[index] = graph.add_constant(name, full[list(TO_NHWC)])
        for mask in ("begin_mask", "end_mask"):
            given = bounds[0].size if bounds[0] is not None else 4
            bits = [axis >= given or bool(copy.attr[mask].i >> axis & 1) for axis in range(4)]
            copy.attr[mask].i = sum(bit << place for place, bit in enumerate(permuted(bits)))

    return Step(data=(0,), convert=convert)


def _filled(bound: Array | None, fill: int) -> Array:
    assert bound is not None
    return np.concatenate([bound, np.full(4 - bound.size, fill, bound.dtype)])


def _shape(graph: Graph, node: Any) -> Step:
    return Step(data=(0,), convert=_nothing, ports=(), vector=True)


def _transpose(graph: Graph, node: Any) -> Step | None:
    order = graph.constant(node.input[1])
    if order is None or order.size != 4:
        return None

    def convert(graph: Graph, copy: Any) -> None:
        moved = np.array([AXIS[int(axis)] for axis in order], order.dtype)
        if list(moved) == [0, 1, 2, 3]:
            copy.op = "Identity"
            del copy.input[1]
            del copy.attr["Tperm"]
        else:
            copy.input[1] = graph.add_constant(f"{copy.name}/order", moved)

    return Step(data=(0,), convert=convert, ports=())


_UNARY = (
    "Abs Cast Ceil CheckNumerics Elu Erf Exp FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars Floor "
    "Identity LeakyRelu Log Log1p LogicalNot Neg PreventGradient Reciprocal Relu Relu6 Rint Round "
    "Rsqrt Selu Sigmoid Sign Snapshot Softplus Softsign Sqrt Square StopGradient Tanh"
)
_BROADCAST = (
    "Add AddN AddV2 Div DivNoNan Equal FloorDiv FloorMod Greater GreaterEqual Less LessEqual "
    "LogicalAnd LogicalOr Maximum Minimum Mul Pow RealDiv SelectV2 SquaredDifference Sub"
)
_REDUCTIONS = "All Any ArgMax ArgMin Max Mean Min Prod Sum"
_NCHW = (
    "AvgPool BiasAdd Conv2D DepthwiseConv2dNative FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 "
    "MaxPool"
)

RULES: dict[str, Rule] = {
    **dict.fromkeys(_UNARY.split(), _unary),
    **dict.fromkeys(_BROADCAST.split(), _broadcast),
    **dict.fromkeys(_REDUCTIONS.split(), _reduction),
    **dict.fromkeys(_NCHW.split(), _nchw()),
    "Conv2DBackpropInput": _nchw(data=2, sizes=0),
    "ConcatV2": _axis(index=-1, data=lambda count: tuple(range(count - 1))),
    "MirrorPad": _rows(1),
    "Pad": _rows(1),
    "PadV2": _rows(1),
    "Shape": _shape,
    "Slice": _rows(1, 2),
    "Split": _axis(index=0, data=lambda count: (1,), outputs="num_split"),
    "SplitV": _axis(index=2, data=lambda count: (0,), outputs="num_split"),
    "Squeeze": _squeeze,
    "StridedSlice": _strided_slice,
    "Tile": _rows(1),
    "Transpose": _transpose,
}
"""Op type to its rule."""
