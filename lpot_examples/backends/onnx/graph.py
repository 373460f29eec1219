"""An index over a cleaned network: who makes and who reads a tensor, constants, shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from lpot_examples.backends.onnx.proto import (
    Array,
    attribute,
    dtype_of,
    own_inputs,
    read_by,
    shape_of,
    subgraphs,
    to_array,
)


class Graph:
    """A network that is not changed any more.

    Args:
        proto: A ``ModelProto`` that went through `clean.clean`: every node has a name of its own,
            constants are initializers, and shapes are inferred.

    Attributes:
        proto: That.
        nodes: Node name to node, in order of execution.
        outputs: Names of the network's outputs.
        inputs: Names of its inputs.
    """

    def __init__(self, proto: Any) -> None:
        self.proto = proto
        self.nodes: Mapping[str, Any] = {node.name: node for node in proto.graph.node}
        self.outputs = tuple(one.name for one in proto.graph.output)
        self.inputs = tuple(one.name for one in own_inputs(proto.graph))
        self._constants = {one.name: one for one in proto.graph.initializer}
        self._makers = {
            tensor: node for node in proto.graph.node for tensor in node.output if tensor
        }
        self._readers: dict[str, list[Any]] = {}
        for node in proto.graph.node:
            for tensor in dict.fromkeys(read_by(node)):
                self._readers.setdefault(tensor, []).append(node)
        infos = (*proto.graph.input, *proto.graph.value_info, *proto.graph.output)
        self._infos = {one.name: one for one in infos if one.type.HasField("tensor_type")}

    def maker(self, tensor: str) -> Any | None:
        """Return the node that makes a tensor, or None for inputs and constants."""
        return self._makers.get(tensor)

    def readers(self, tensor: str) -> list[Any]:
        """Return the nodes that read a tensor, from within subgraphs, too."""
        return self._readers.get(tensor, [])

    def only_reader(self, tensor: str) -> Any | None:
        """Return the one node that reads a tensor, or None if there are others or it is an output.

        A node that reads it from within a subgraph, or twice, is none.
        """
        readers = self.readers(tensor)
        if len(readers) != 1 or tensor in self.outputs:
            return None
        return readers[0] if list(readers[0].input).count(tensor) == 1 else None

    def is_constant(self, tensor: str) -> bool:
        """Tell whether a tensor is an initializer."""
        return tensor in self._constants

    def constant(self, tensor: str) -> Array | None:
        """Return the values of an initializer, or None."""
        found = self._constants.get(tensor)
        return None if found is None else to_array(found)

    def shape(self, tensor: str) -> tuple[int | None, ...] | None:
        """Return a tensor's shape as far as it is known."""
        if tensor in self._constants:
            return tuple(self._constants[tensor].dims)
        return shape_of(self._infos[tensor]) if tensor in self._infos else None

    def is_float32(self, tensor: str) -> bool:
        """Tell whether a tensor is known to be float32."""
        if tensor in self._constants:
            return bool(self._constants[tensor].data_type == 1)
        return tensor in self._infos and dtype_of(self._infos[tensor]) == np.float32

    def is_float(self, tensor: str) -> bool:
        """Tell whether a tensor is known to hold floating-point numbers."""
        return tensor in self._infos and dtype_of(self._infos[tensor]).kind == "f"

    @cached_property
    def names(self) -> frozenset[str]:
        """Every tensor's name, those in subgraphs included."""
        found = {*self._makers, *self._constants, *self.inputs}
        for node in self.proto.graph.node:
            for graph in subgraphs(node):
                found.update(name for inner in graph.node for name in inner.output)
                found.update(one.name for one in (*graph.initializer, *graph.input))
        return frozenset(found)

    def macs(self, node: Any) -> int:
        """Return the multiply-accumulates of a Conv, Gemm or MatMul for a sample; 0 if unknown."""
        shape, weights = self.shape(node.output[0]), self.shape(node.input[1])
        if shape is None or weights is None or None in shape[1:] or None in weights:
            return 0
        outputs = math.prod(size or 1 for size in shape[1:])
        kernel = [size or 1 for size in weights]
        if node.op_type == "Conv":
            return outputs * math.prod(kernel[1:])
        transposed = node.op_type == "Gemm" and attribute(node, "transB", 0)
        return outputs * kernel[-1 if transposed else -2]
