"""Small helpers around ONNX's messages: names, constants, what subgraphs read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]

STANDARD = ("", "ai.onnx")
"""The two names of the domain of ONNX's own ops."""


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """Return the value of a node's attribute, text decoded, or a default."""
    for one in node.attribute:
        if one.name == name:
            value = helper.get_attribute_value(one)
            return value.decode() if isinstance(value, bytes) else value
    return default


def opset(model: Any) -> int:
    """Return the version of ONNX's own ops that a model uses; 0 if it says none."""
    return max((one.version for one in model.opset_import if one.domain in STANDARD), default=0)


def is_standard(node: Any, *types: str) -> bool:
    """Tell whether a node is one of ONNX's own ops of these types."""
    return node.domain in STANDARD and node.op_type in types


def subgraphs(node: Any) -> Iterator[Any]:
    """Yield the graphs inside a node (If, Loop, Scan), those inside of them included."""
    for one in node.attribute:
        for graph in (*([one.g] if one.HasField("g") else []), *one.graphs):
            yield graph
            for inner in graph.node:
                yield from subgraphs(inner)


def read_by(node: Any) -> Iterator[str]:
    """Yield the tensors that a node reads, those that only its subgraphs read included."""
    yield from (name for name in node.input if name)
    for graph in subgraphs(node):
        for inner in graph.node:
            yield from (name for name in inner.input if name)
        yield from (one.name for one in graph.output)


def tensor(name: str, values: Any) -> Any:
    """Return an initializer."""
    return numpy_helper.from_array(np.asarray(values, order="C"), name)


def to_array(constant: Any) -> Array:
    """Return the values of an initializer whose data is in memory."""
    return np.asarray(numpy_helper.to_array(constant))


def name_nodes(model: Any) -> None:
    """Give every node a name of its own: that which it has, or its type and first output."""
    seen: set[str] = set()
    for node in model.graph.node:
        if not node.name or node.name in seen:
            outputs = [name for name in node.output if name]
            node.name = _free_name(f"{node.op_type}_{outputs[0] if outputs else ''}", seen)
        seen.add(node.name)


def shape_of(value: Any) -> tuple[int | None, ...] | None:
    """Return the shape of a ValueInfo, None for a free dimension or an unknown rank."""
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(
        int(size.dim_value) if size.HasField("dim_value") else None for size in kind.shape.dim
    )


def dtype_of(value: Any) -> np.dtype[Any]:
    """Return the dtype of a ValueInfo that is a tensor."""
    dtype: np.dtype[Any] = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    return dtype


def own_inputs(graph: Any) -> list[Any]:
    """Return the inputs of a graph that must be given: before opset 9, weights are listed, too."""
    known = {one.name for one in graph.initializer}
    return [one for one in graph.input if one.name not in known]


def node(
    kind: str, inputs: Sequence[str], output: str, *, name: str = "", **attributes: Any
) -> Any:
    """Return a node of ONNX's own with one output."""
    return helper.make_node(kind, list(inputs), [output], name=name or output, **attributes)


def value(name: str, shape: Sequence[int] | None = None) -> Any:
    """Return the ValueInfo of a float32 tensor."""
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def copy_of(model: Any) -> Any:
    """Return an independent copy of a model."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


def copy_of_node(node: Any) -> Any:
    """Return an independent copy of a node."""
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    return copied


def copy_without_graph(model: Any) -> Any:
    """Return a model of the same kind, inputs and outputs, without nodes, weights and shapes."""
    made = onnx.ModelProto(
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        opset_import=model.opset_import,
    )
    made.graph.name = model.graph.name or "network"
    made.graph.input.extend(model.graph.input)
    made.graph.output.extend(model.graph.output)
    return made


def _free_name(wanted: str, taken: set[str]) -> str:
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name
