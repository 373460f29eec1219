"""What Neural Compressor made of each op, read from the network that it wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lpot_examples.backends.base import FRAGILE, OpDecision
from lpot_examples.backends.neural_compressor.recipe import CARRIERS
from lpot_examples.graph import Group, OpGraph

_SILENT = frozenset({"Placeholder", "NoOp"})
_MARK = "_eightbit_"

# The attribute that holds a kernel's input type: convolutions, products, pools and the rest.
_INPUT_TYPES = ("Tinput", "T1", "T")


class WrittenGraph:
    """A network that Neural Compressor wrote.

    It names a kernel after the op it replaces, and a ``Dequantize`` after the last op that the
    kernel absorbed.

    Args:
        nodes: Its nodes (``NodeDef``).
    """

    def __init__(self, nodes: Iterable[Any]) -> None:
        self._ops: dict[str, str] = {}
        self._kernels: dict[str, Any] = {}
        for node in nodes:
            self._ops[node.name] = node.op
            if _is_kernel(node.op):
                self._kernels[node.name.split(_MARK)[0]] = node

    def decisions(self, op_graph: OpGraph, reverted: Mapping[str, str]) -> list[OpDecision]:
        """Return every op's precision and reason, groups first.

        Args:
            op_graph: The network as it was described.
            reverted: Group name to the reason why it stays fp32 by choice.
        """
        found = []
        for group in op_graph.groups:
            kept = group.reason or reverted.get(group.name, "")
            for op in group.ops:
                precision, reason = self._member(group, op.name, kept)
                found.append(
                    OpDecision(
                        name=op.name,
                        type=op.type,
                        group=group.name,
                        precision=precision,
                        reason=reason,
                    )
                )
        for op in op_graph.others:
            if op.type not in _SILENT:
                precision, reason = self._other(op.name, op.type)
                found.append(
                    OpDecision(
                        name=op.name, type=op.type, group="", precision=precision, reason=reason
                    )
                )
        return found

    def _member(self, group: Group, name: str, kept: str) -> tuple[str, str]:
        kernel = self._kernels.get(group.name)
        if kernel is None:
            if kept:
                return "fp32", kept
            if group.name in self._ops:
                return "fp32", "Neural Compressor left it in fp32"
            return "fp32", "Neural Compressor folded it into another op"
        if name != group.name and self._ops.get(name, "Dequantize") != "Dequantize":
            return "fp32", f"Neural Compressor left it outside the {kernel.op}"
        return "int8", _describe(kernel)

    def _other(self, name: str, op: str) -> tuple[str, str]:
        kernel = self._kernels.get(name)
        if kernel is not None:
            return "int8", kernel.op
        if name not in self._ops:
            return "fp32", "Neural Compressor folded it into another op"
        if op in CARRIERS:
            return "fp32", "Neural Compressor left it in fp32"
        return "fp32", f"Neural Compressor has no int8 kernel for {op}"


def _is_kernel(op: str) -> bool:
    """Tell whether an op computes on eight-bit values, rather than converting to or from them."""
    return op.lstrip("_").startswith(("Quantized", "FusedQuantized"))


def _describe(kernel: Any) -> str:
    from tensorflow.core.framework import types_pb2

    kind = next((kernel.attr[key].type for key in _INPUT_TYPES if key in kernel.attr), 0)
    unsigned = kind == types_pb2.DT_QUINT8
    text = f"{kernel.op}: {'u8' if unsigned else 's8'} input, 8-bit weights"
    return f"{text}, {FRAGILE}" if unsigned else text
