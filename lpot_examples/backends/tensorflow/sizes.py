"""Which feature maps have equal sizes, where the size of the image is not known.

A network for images of any size has no static shapes, but its residual sums still add maps of one
size. So sizes are compared as formulas: every convolution and pool maps a size s to
⌊(s − r) / stride⌋ + 1, with r the window's extent less the padding. Two maps that come from one
tensor by the same formulas have equal batches, heights and widths.
"""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name

# (stride, r) of every step of one axis, in order.
Steps = tuple[tuple[int, int], ...]
# The tensor that sizes derive from, and what happens to height and width.
Formula = tuple[str, Steps, Steps]

_KEEPS = frozenset({"Identity", "BiasAdd", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid"})
_KEEPS |= {"Tanh", "Softplus", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"}
_BINARY = frozenset({"Add", "AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum"})
_WINDOWS = frozenset({"Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool"})


class Sizes:
    """Formulas of sizes by tensor.

    Args:
        graph: The graph; feature maps are of layout NHWC.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[str, Formula] = {}

    def equal(self, one: str, other: str) -> bool:
        """Tell whether two feature maps surely have equal batches, heights and widths."""
        return self.of(one) == self.of(other)

    def of(self, tensor: str) -> Formula:
        """Return the formula of a tensor's size."""
        stack = [tensor]
        while stack:
            name = stack[-1]
            sources = [] if name in self._known else self._sources(name)
            missing = [source for source in sources if source not in self._known]
            # A loop can only be closed by nodes that are not followed; this is for broken graphs.
            if missing and len(stack) <= len(self._graph.nodes):
                stack.extend(missing)
                continue
            stack.pop()
            if name not in self._known:
                self._known[name] = self._made(name, sources)
        return self._known[tensor]

    def _sources(self, tensor: str) -> list[str]:
        """Return the tensors whose sizes this one's follows from; none if it is not known how."""
        name, port = split_name(tensor)
        node = self._graph.nodes[name]
        if port != 0 or name in self._graph.inputs:
            return []
        inputs = [tensor_name(*source) for source in self._graph.data_inputs(node)]
        if node.op in _KEEPS or node.op in _WINDOWS or node.op == "Pad":
            return inputs[:1]
        if node.op == "ConcatV2":
            axis = self._graph.constant(inputs[-1])
            return inputs[:-1] if axis is not None and int(axis) in (-1, 3) else []
        if node.op not in _BINARY:
            return []
        return [name for name in inputs if not self._per_channel(name)]

    def _per_channel(self, tensor: str) -> bool:
        value = self._graph.constant(tensor)
        return value is not None and value.ndim <= 4 and value.size == max(value.shape[-1:] or (1,))

    def _made(self, tensor: str, sources: list[str]) -> Formula:
        own: Formula = (tensor, (), ())
        formulas = {self._known.get(source, own) for source in sources}
        if len(formulas) != 1:
            return own
        found = formulas.pop()
        node = self._graph.nodes[split_name(tensor)[0]]
        if node.op not in _WINDOWS and node.op != "Pad":
            return found
        steps = _padding(self._graph, node) if node.op == "Pad" else _window(self._graph, node)
        if steps is None:
            return own
        return found[0], _then(found[1], steps[0]), _then(found[2], steps[1])


def _then(steps: Steps, step: tuple[int, int]) -> Steps:
    """Append a step; one of stride 1 merges with the next: ⌊((s − r + 1) − q) / k⌋ + 1."""
    if steps and steps[-1][0] == 1:
        step = (step[0], step[1] + steps[-1][1] - 1)
        steps = steps[:-1]
    return steps if step == (1, 1) else (*steps, step)


def _padding(graph: Graph, node: Any) -> tuple[tuple[int, int], tuple[int, int]] | None:
    pads = graph.constant(node.input[1])
    if pads is None or pads.shape != (4, 2) or pads[[0, 3]].any():
        return None
    height, width = (1 - int(pads[axis].sum()) for axis in (1, 2))
    return (1, height), (1, width)


def _window(graph: Graph, node: Any) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return (stride, r) of both axes of a convolution or pool, or None."""
    attr = node.attr
    if attr["data_format"].s not in (b"", b"NHWC"):
        return None
    strides = attr["strides"].list.i[1:3]
    if attr["padding"].s == b"SAME":
        # ⌈s / stride⌉ = ⌊(s − 1) / stride⌋ + 1
        return (strides[0], 1), (strides[1], 1)
    extents = _extents(graph, node)
    if extents is None:
        return None
    pads = list(attr["explicit_paddings"].list.i) if attr["padding"].s == b"EXPLICIT" else [0] * 8
    rest = [extents[axis] - pads[2 + 2 * axis] - pads[3 + 2 * axis] for axis in (0, 1)]
    return (strides[0], rest[0]), (strides[1], rest[1])


def _extents(graph: Graph, node: Any) -> list[int] | None:
    if node.op in ("MaxPool", "AvgPool"):
        return list(node.attr["ksize"].list.i[1:3])
    weights = graph.constant(node.input[1])
    if weights is None:
        return None
    dilations = list(node.attr["dilations"].list.i[1:3]) or [1, 1]
    return [(weights.shape[axis] - 1) * dilations[axis] + 1 for axis in (0, 1)]
