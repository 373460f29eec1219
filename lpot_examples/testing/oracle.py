"""The oracle's kernel for a fusion group, from what was emitted for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.emit import Emitted
from lpot_examples.backends.tensorflow.emit.builder import Builder
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.groups import ComputeGroup
from lpot_examples.backends.tensorflow.kernels import COMPUTE
from lpot_examples.quantize.reference import LinearKernel, same_pads
from lpot_examples.quantize.weights import QuantizedWeights
from lpot_examples.testing.compilation import Compilation


def emitted_weights(emitted: Graph, names: Builder, group: ComputeGroup) -> QuantizedWeights:
    """Return a group's weights as the emitted graph holds them.

    Args:
        emitted: The int8 graph.
        names: Gives the names under which nodes were emitted.
        group: An int8 group of the plan.
    """
    prefix = names.name(group.anchor)
    readers = emitted.readers(f"{prefix}/bias")
    (kernel,) = (node for node in readers if node.op == COMPUTE[group.op])
    codes, peak = emitted.constant(kernel.input[1]), emitted.constant(f"{prefix}/weights_max")
    if codes is None or peak is None:
        raise AssertionError(f"the kernel of '{group.anchor}' has no constant weights")
    if codes.dtype.names is not None:
        codes = codes[codes.dtype.names[0]]
    scales = (peak.astype(np.float64) / 127).astype(np.float32)
    axes = tuple(axis for axis in range(codes.ndim) if axis not in group.channel_axes)
    return QuantizedWeights(codes, scales, codes.sum(axes, np.float64).ravel() * scales)


def linear_kernel(
    compilation: Compilation, emitted: Emitted, weights: QuantizedWeights, group: ComputeGroup
) -> LinearKernel:
    """Return the oracle of an int8 group.

    Args:
        compilation: The network.
        emitted: What was emitted for it.
        weights: The group's weights, see `emitted_weights`.
        group: An int8 group of the plan, with static spatial dimensions.
    """
    plan, node = emitted.plan, compilation.graph.nodes[group.anchor]
    output = plan.output(group)
    summed = group.anchor in plan.sums and group.summand is not None
    options: dict[str, Any] = {}
    if group.op != "MatMul":
        strides, dilations = steps(node)
        options = {
            "strides": strides,
            "dilations": dilations,
            "pads": paddings(compilation, group),
        }
    return LinearKernel(
        op=group.op,  # type: ignore[arg-type]
        reads=plan.encodings[group.source],
        weights=weights,
        bias=np.zeros(group.channels) if group.bias is None else group.bias,
        makes=None if group.op == "MatMul" else plan.encodings[output],
        activation=group.activation if output == group.output else None,
        summand=plan.encodings[group.summand] if summed and group.summand else None,
        **options,
    )


def steps(node: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return a convolution's strides and dilations, vertical and horizontal each."""
    strides, dilations = (list(node.attr[key].list.i) for key in ("strides", "dilations"))
    return (strides[1], strides[2]), (dilations[1], dilations[2])


def paddings(compilation: Compilation, group: ComputeGroup) -> tuple[int, int, int, int]:
    """Return a convolution's padding, worked out apart from the compiler's own reckoning.

    Args:
        compilation: The network.
        group: One of its convolutions.

    Returns:
        Zeros before and after the rows, before and after the columns.
    """
    node, shape = compilation.graph.nodes[group.anchor], compilation.shapes.of(group.source)
    strides, dilations = steps(node)
    if group.explicit_pads is not None:
        top, bottom, left, right = group.explicit_pads[2:6]
        return top, bottom, left, right
    if node.attr["padding"].s == b"VALID" or shape is None:
        return 0, 0, 0, 0
    size = [int(extent or 0) for extent in shape[1:3]]
    return same_pads(size, group.weights.shape[:2], strides, dilations)
