"""Turn networks of the layout NCHW to NHWC, for which TensorFlow has int8 (and all CPU) kernels.

    x ─► Conv2D(NCHW) ─► Relu ─► MaxPool(NCHW) ─► y
                                ══►
    x ─► Transpose ─► Conv2D ─► Relu ─► MaxPool ─► Transpose ─► y

Tensors become NHWC from the first op that has the layout in an attribute, and stay so through
everything that can work in either order (`layout_rules`), so transposes remain at the ends only.
Transposes that converters put around each convolution are taken up in the same way:

    conv ─► Transpose(NCHW) ─► Relu ─► Transpose(NHWC) ─► conv      conv ─► Relu ─► conv
                                                               ══►
"""

from __future__ import annotations

from collections.abc import Set
from functools import cached_property
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.definitions import dtype_of
from lpot_examples.backends.tensorflow.graphdef import Array, Graph, split_name, tensor_name
from lpot_examples.backends.tensorflow.passes import remove_identities
from lpot_examples.backends.tensorflow.passes.layout_rules import (
    RULES,
    TO_NCHW,
    TO_NHWC,
    Step,
    gather,
    permuted,
)
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.backends.tensorflow.shapes import Shapes

_SEVERAL = frozenset({"Split", "SplitV", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})


def run(graph: Graph, untouchable: Set[str], declined: dict[str, str]) -> int:
    """Convert everything that can be; return the number of converted ops.

    Args:
        graph: Changed in place.
        untouchable: Names of nodes that must stay as they are.
        declined: Gets the reason for each NCHW op that stays, by node name.
    """
    if not any(_is_nchw(node) or is_entry(graph, node) for node in graph):
        return 0
    region = Region(graph, untouchable, declined)
    count = len(region.steps)
    rewrite(graph, region)
    graph.remove_unreachable()
    return count


def is_entry(graph: Graph, node: Any) -> bool:
    """Tell whether a node only turns an NHWC tensor to NCHW."""
    return _order(graph, node) == TO_NCHW


def check(region: Region, node: Any) -> Step | str | None:
    """Return how a node is converted, the reason why an NCHW op is not, or None.

    Args:
        region: What is NHWC in front of the node.
        node: Any node that is not fed or inside control flow.
    """
    rule = RULES.get(node.op)
    step = rule(region.graph, node) if rule is not None else None
    if step is None and _is_nchw(node):
        return "its layout is NCHW, and its conversion is not known"
    if step is None or isinstance(step, str):
        return step
    if not step.starts and not any(region.has(node.input[index]) for index in step.data):
        return None
    reason = _why_not(region, node, step)
    return step if not reason else reason if step.starts else None


def _why_not(region: Region, node: Any, step: Step) -> str:
    """Return what keeps a node with a rule from being converted, or an empty string."""
    graph = region.graph
    if node.op in _SEVERAL and node.name in graph.output_nodes:
        return "several tensors of it are outputs"
    if step.starts:
        # All other ops of this kind take four dimensions only.
        rank = region.rank(node.input[0]) if node.op == "BiasAdd" else 4
        return "" if rank == 4 else f"its input has {rank or 'an unknown number of'} dimensions"
    others = [
        node.input[index]
        for index in step.data
        if not region.has(node.input[index]) and graph.constant(node.input[index]) is None
    ]
    if step.mixes:
        others = [name for name in others if region.rank(name) != 0]
    if any(region.rank(name) != 4 for name in others):
        return "an operand has not four dimensions"
    if 2 * len(others) > len(step.data):
        return "most operands are NCHW"
    return ""


class Region:
    """The nodes whose results become NHWC, and those that read NHWC without making it.

    Args:
        graph: The graph, not changed here.
        untouchable: Names of nodes that must stay as they are.
        declined: Gets reasons.

    Attributes:
        steps: Node name to how it is converted, in order of execution.
    """

    def __init__(self, graph: Graph, untouchable: Set[str], declined: dict[str, str]) -> None:
        self.graph = graph
        self.steps: dict[str, Step] = {}
        self._nhwc: set[tuple[str, int]] = set()
        for name in graph.topological():
            node = graph.nodes[name]
            if name in untouchable:
                if _is_nchw(node):
                    declined[name] = "its layout is NCHW, and it is fed or inside control flow"
                continue
            if is_entry(graph, node) and not self.has(node.input[0]):
                self._nhwc.add((name, 0))
                continue
            step = check(self, node)
            if isinstance(step, str):
                declined[name] = step
            elif step is not None:
                self.steps[name] = step
                self._nhwc.update((name, port) for port in step.ports)
        self._shrink()

    def has(self, tensor: str) -> bool:
        """Tell whether a tensor becomes NHWC."""
        return split_name(tensor) in self._nhwc

    def rank(self, tensor: str) -> int | None:
        """Return a tensor's number of dimensions, or None if it is unknown."""
        if self.has(tensor):
            return 4
        shape = self._shapes.of(tensor)
        return None if shape is None else len(shape)

    @cached_property
    def _shapes(self) -> Shapes:
        return Shapes(self.graph)

    def _shrink(self) -> None:
        """Leave out ops at the end that would need more transposes than they save."""
        for name in reversed(list(self.steps)):
            step, node = self.steps[name], self.graph.nodes[name]
            added = any(
                not self.has(node.input[index]) and self.graph.constant(node.input[index]) is None
                for index in step.data
            )
            if step.starts or not added or not step.ports:
                continue
            if not any(self.reads(reader, name) for reader in self.graph.readers(name)):
                del self.steps[name]
                self._nhwc -= {(name, port) for port in step.ports}

    def reads(self, reader: Any, name: str) -> bool:
        """Tell whether a node is converted and reads NHWC data of another."""
        step = self.steps.get(reader.name)
        return step is not None and any(
            split_name(reader.input[index])[0] == name for index in step.data
        )


def rewrite(graph: Graph, region: Region) -> None:
    """Convert the nodes of a region, with transposes at its ends."""
    escapes = _escapes(graph, region)
    conversion = _Conversion(graph, region)
    for name, step in region.steps.items():
        conversion.convert(name, step)
    for reader, index, tensor in escapes:
        graph.set_input(reader, index, conversion.as_nchw(tensor))
    for name in region.steps:
        node = graph.nodes[name]
        if node.op == "Identity" and remove_identities.check(graph, node) is not None:
            remove_identities.rewrite(graph, node)


def _escapes(graph: Graph, region: Region) -> list[tuple[str, int, str]]:
    """Return (reader, input index, tensor) of each NCHW read by a node that is not converted."""
    return [
        (reader.name, index, source)
        for name in region.steps
        for reader in graph.readers(name)
        if reader.name not in region.steps
        for index, source in enumerate(reader.input)
        if split_name(source)[0] == name and region.has(source)
    ]


class _Conversion:
    """Builds the converted nodes.

    Args:
        graph: Changed in place.
        region: What to convert.
    """

    def __init__(self, graph: Graph, region: Region) -> None:
        self._graph = graph
        self._region = region
        self._places: dict[tuple[str, int], str] = {}
        self._nchw: dict[tuple[str, int], str] = {}

    def convert(self, name: str, step: Step) -> None:
        """Convert one node, whose sources have been converted."""
        graph, original = self._graph, self._graph.nodes[name]
        dtype = dtype_of(graph, name) if step.ports else None
        copy = type(original)()
        copy.CopyFrom(original)
        kept = name in graph.output_nodes and bool(step.ports)
        if kept or step.vector:
            copy.name = graph.free_name(f"{name}/nhwc")
        for index, source in enumerate(original.input):
            if index in step.data:
                copy.input[index] = self._operand(source, step)
            elif self._region.has(source):
                copy.input[index] = self.as_nchw(source)
        step.convert(graph, copy)
        graph.insert(copy)
        for port in step.ports:
            self._places[name, port] = tensor_name(copy.name, port)
        if kept:
            self._transpose(name, copy.name, TO_NCHW, dtype)
            self._nchw[name, 0] = name
        elif step.vector:
            gather(graph, name, copy.name, TO_NCHW)

    def as_nchw(self, tensor: str) -> str:
        """Return a tensor in its original layout, from a transpose that all readers share."""
        name, port = split_name(tensor)
        if (name, port) in self._places and (name, port) not in self._nchw:
            new, dtype = (
                self._graph.free_name(_beside(tensor, "nchw")),
                dtype_of(self._graph, tensor),
            )
            place = self._places[name, port]
            self._nchw[name, port] = self._transpose(new, place, TO_NCHW, dtype)
        return self._nchw.get((name, port), tensor)  # itself for a transpose that was there

    def _operand(self, tensor: str, step: Step) -> str:
        """Return the NHWC form of a data input."""
        graph, (name, port) = self._graph, split_name(tensor)
        if (name, port) in self._places:
            return self._places[name, port]
        if is_entry(graph, graph.nodes[name]) and self._region.has(tensor):
            return str(graph.nodes[name].input[0])
        value = graph.constant(tensor)
        if value is not None:
            place = _constant_operand(graph, tensor, value)
        elif step.mixes and self._region.rank(tensor) == 0:
            return tensor
        else:
            place = self._entering(tensor)
        self._places[name, port] = place
        return place

    def _entering(self, tensor: str) -> str:
        """Add the transpose for a tensor from outside; one in front of it is taken up."""
        graph, dtype = self._graph, dtype_of(self._graph, tensor)
        node, order, source = graph.nodes[split_name(tensor)[0]], TO_NHWC, tensor
        before = _order(graph, node)
        if before is not None and self._as_before(node):
            order, source = tuple(permuted(before)), node.input[0]
        if order == (0, 1, 2, 3):
            return source
        return self._transpose(graph.free_name(_beside(tensor, "nhwc")), source, order, dtype)

    def _as_before(self, node: Any) -> bool:
        """Tell whether a node's first input has a layout that fits the node, and is not fed."""
        if node.name in self._region.steps:
            return True  # both have been converted
        return node.name not in self._graph.inputs and not self._region.has(node.input[0])

    def _transpose(self, name: str, source: str, order: tuple[int, ...], dtype: Any) -> str:
        tf = import_tensorflow()
        value = np.array(order, np.int32)
        constant = self._graph.add_constant(self._graph.free_name(f"{name}/order"), value)
        return self._graph.add("Transpose", name, [source, constant], T=dtype, Tperm=tf.int32)


def _constant_operand(graph: Graph, tensor: str, value: Array) -> str:
    """Return a constant that broadcasts over NHWC as the given one does over NCHW."""
    if value.size == 1 and value.ndim < 4:
        return tensor
    full = value.reshape((1,) * (4 - value.ndim) + value.shape)
    name = graph.free_name(_beside(tensor, "nhwc"))
    return graph.add_constant(name, np.transpose(full, TO_NHWC))


def _is_nchw(node: Any) -> bool:
    layout: bytes = node.attr["data_format"].s if "data_format" in node.attr else b""
    return layout.startswith(b"NCHW")


def _order(graph: Graph, node: Any) -> tuple[int, ...] | None:
    """Return a Transpose's constant order of four dimensions, or None."""
    if node.op != "Transpose":
        return None
    order = graph.constant(node.input[1])
    return tuple(map(int, order)) if order is not None and order.size == 4 else None


def _beside(tensor: str, suffix: str) -> str:
    return f"{tensor.replace(':', '_')}/{suffix}"
