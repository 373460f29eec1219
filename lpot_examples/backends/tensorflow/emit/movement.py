"""Lowering of data movement: the same op on codes instead of reals."""

from __future__ import annotations

from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.emit.builder import Builder
from lpot_examples.backends.tensorflow.emit.interleaved import (
    interleaved_channels,
    take_interleaved,
)
from lpot_examples.backends.tensorflow.emit.leaky import lower_leaky
from lpot_examples.backends.tensorflow.graphdef import split_name, tensor_name
from lpot_examples.backends.tensorflow.kernels import MOVEMENTS, POOLS, SPLITS, Carrier
from lpot_examples.backends.tensorflow.shapes import Shapes
from lpot_examples.backends.tensorflow.sources import movement_inputs
from lpot_examples.quantize.encoding import Encoding


def lower_movement(builder: Builder, name: str, shapes: Shapes) -> None:
    """Add the eight-bit form of a movement node and give its fp32 readers a Dequantize.

    Args:
        builder: The graph under construction.
        name: A movement node of the plan.
        shapes: Static shapes of the cleaned graph.
    """
    node = builder.original.nodes[name]
    inputs = movement_inputs(builder.original, name)
    encoding = builder.plan.encodings[inputs[0]]
    carrier = MOVEMENTS[node.op].carrier
    if carrier is Carrier.POOL:
        _pool(builder, node, inputs[0], encoding)
    elif carrier is Carrier.LEAKY:
        shape = shapes.of(inputs[0])
        assert shape is not None and shape[-1] is not None  # or the planner would not carry it
        lower_leaky(
            builder,
            builder.codes(inputs[0]),
            builder.name(name),
            slope=node.attr["alpha"].f,
            channels=shape[-1],
            encoding=encoding,
        )
    elif carrier is Carrier.BITCAST:
        _through_plain(builder, node, inputs[0], encoding, shapes)
    elif (taken := _interleaved(builder, node, shapes)) is not None:
        first, step = taken
        shape = shapes.of(inputs[0])
        assert shape is not None  # or the slice would not have been recognized
        take_interleaved(builder, node, first=first, step=step, shape=shape, dtype=encoding.dtype)
    else:
        _same_op(builder, node, inputs, encoding)
    builder.graph.add_control(builder.name(name), node)
    _dequantize(builder, name, node)


def _interleaved(builder: Builder, node: Any, shapes: Shapes) -> tuple[int, int] | None:
    if node.op != "StridedSlice":
        return None
    return interleaved_channels(builder.original, node, shapes)


def _same_op(builder: Builder, node: Any, inputs: list[str], encoding: Encoding) -> None:
    """Copy the node, reading codes."""
    if node.op in SPLITS and encoding.dtype == "s8":
        _split_signed(builder, node, inputs[0])
        return
    copy = _copy(builder, node, builder.name(node.name))
    replaced = {name: builder.codes(name) for name in inputs}
    copy.input[:] = [
        name if name.startswith("^") else replaced.get(tensor_name(*split_name(name)), name)
        for name in node.input
    ]
    attr = MOVEMENTS[node.op].type_attr
    copy.attr[attr].type = builder.quantized[encoding.dtype].as_datatype_enum
    builder.graph.insert(copy)


def _split_signed(builder: Builder, node: Any, source: str) -> None:
    """Split int8; splits know quint8 but not qint8."""
    target = builder.name(node.name)
    quantized, plain = builder.quantized["s8"], builder.plain["s8"]
    codes = builder.bitcast(builder.codes(source), f"{target}/plain", quantized, plain)
    copy = _copy(builder, node, f"{target}/split")
    copy.input[(MOVEMENTS[node.op].data or (0,))[0]] = codes
    copy.attr["T"].type = plain.as_datatype_enum
    name = builder.graph.insert(copy)
    parts = [
        builder.bitcast(tensor_name(name, port), f"{target}/part_{port}", plain, quantized)
        for port in range(int(node.attr["num_split"].i))
    ]
    builder.graph.add("IdentityN", target, parts, T=[quantized] * len(parts))


def _through_plain(
    builder: Builder, node: Any, source: str, encoding: Encoding, shapes: Shapes
) -> None:
    """Run an op that has no quantized type on uint8 or int8."""
    target = builder.name(node.name)
    if node.op == "Pad":
        shape = shapes.of(source)
        paddings = builder.original.constant(node.input[1])
        assert paddings is not None
        builder.with_channels(shape[-1] if shape else None)
        builder.pad(builder.codes(source), target, paddings, encoding)
        return
    quantized, plain = builder.quantized[encoding.dtype], builder.plain[encoding.dtype]
    codes = builder.bitcast(builder.codes(source), f"{target}/plain", quantized, plain)
    if node.op in ("Relu", "Relu6"):
        moved = clamp(builder, codes, f"{target}/clamp", encoding, node.op)
    else:
        copy = _copy(builder, node, f"{target}/moved")
        copy.input[0] = codes
        copy.attr["T"].type = plain.as_datatype_enum
        moved = builder.graph.insert(copy)
    builder.bitcast(moved, target, plain, quantized)


def clamp(builder: Builder, codes: str, name: str, encoding: Encoding, activation: str) -> str:
    """Apply Relu or Relu6 to plain codes; returns the last node added (``codes`` if none)."""
    plain = builder.plain[encoding.dtype]
    low = 0 if encoding.dtype == "s8" else encoding.zero_point
    if encoding.low < 0:
        floor = builder.constant(np.asarray(low, plain.as_numpy_dtype), hint="zero_point")
        codes = builder.graph.add("Maximum", f"{name}/low", [codes, floor], T=plain)
    if activation == "Relu6" and encoding.high > 6.0 + encoding.scale / 2:
        six = encoding.quantize(np.array(6.0)).astype(plain.as_numpy_dtype)
        ceiling = builder.constant(six, hint="six")
        codes = builder.graph.add("Minimum", f"{name}/high", [codes, ceiling], T=plain)
    return codes


def _pool(builder: Builder, node: Any, source: str, encoding: Encoding) -> None:
    builder.graph.add(
        POOLS[node.op],
        builder.name(node.name),
        [builder.codes(source), *builder.bounds(encoding)],
        T=builder.quantized[encoding.dtype],
        ksize=list(node.attr["ksize"].list.i),
        strides=list(node.attr["strides"].list.i),
        padding=node.attr["padding"].s.decode(),
    )


def _dequantize(builder: Builder, name: str, node: Any) -> None:
    """Let fp32 readers of the node's outputs read dequantized codes."""
    if node.op not in SPLITS:
        builder.dequantize(name, name)
        return
    for port in range(int(node.attr["num_split"].i)):
        tensor = tensor_name(name, port)
        if tensor in builder.plan.encodings:
            real = builder.dequantize(tensor, f"{builder.name(name)}/dequantize_{port}")
            builder.graph.redirect(tensor, real)


def _copy(builder: Builder, node: Any, name: str) -> Any:
    from tensorflow.core.framework import node_def_pb2

    copy = node_def_pb2.NodeDef()
    copy.CopyFrom(node)
    copy.name = name
    copy.attr.pop("_output_shapes", None)
    return copy
