"""Turn per-channel arithmetic that no linear op can absorb into a 1×1 depthwise convolution.

    ConcatV2 ─► Mul(a) ─► AddV2(b) ─► Relu      ConcatV2 ─► DepthwiseConv2dNative(a) ─► BiasAdd(b)
                                           ══►                                          ─► Relu

Networks that normalize in front of a convolution (ResNet-v2, DenseNet) do this between any two of
them. Depthwise convolutions have an int8 kernel, and one that scales channels needs no rounding of
its weights: each has a scale of its own. The last node of the chain keeps its name.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.graphdef import Array, Graph, tensor_name
from lpot_examples.backends.tensorflow.passes.fold_batch_norm import BATCH_NORMS, affine_step
from lpot_examples.backends.tensorflow.passes.trunk import Trunk

_STEPS = frozenset({"Mul", "Add", "AddV2", "Sub", "RealDiv"}) | BATCH_NORMS


@dataclass(frozen=True)
class Match:
    """A chain of affine steps.

    Attributes:
        source: The tensor that the first step reads.
        chain: Names of the steps, in order.
        scale: float64 [channels].
        shift: float64 [channels].
    """

    source: str
    chain: tuple[str, ...]
    scale: Array
    shift: Array


def run(graph: Graph, untouchable: Set[str], declined: dict[str, str]) -> int:
    """Rewrite every chain that lies between convolutions; return how many.

    Args:
        graph: Changed in place.
        untouchable: Nodes to leave alone.
        declined: Receives the reason why a chain was left alone, by its first node.
    """
    trunk, count = Trunk(graph), 0
    for name in graph.topological():
        node = graph.nodes.get(name)
        if node is None or node.op not in _STEPS or name in untouchable:
            continue
        match = check(graph, node, trunk)
        if isinstance(match, str):
            declined[name] = match
        elif match is not None:
            rewrite(graph, match)
            count += 1
    if count:
        graph.remove_unreachable()
    return count


def check(graph: Graph, node: Any, trunk: Trunk) -> Match | str | None:
    """Match a chain that begins at a node, lies in the trunk, and leads to an int8 kernel."""
    found = _source(graph, node, trunk)
    if found is None:
        return None
    source, channels = found
    scale, shift = np.ones(channels), np.zeros(channels)
    chain: list[str] = []
    current, reader = source, node
    while reader is not None:
        step = affine_step(graph, reader, current, channels, rank=4)
        if step is None:
            break
        with np.errstate(invalid="ignore", over="ignore"):
            scale, shift = step[0] * scale, step[0] * shift + step[1]
        chain.append(reader.name)
        current = reader.name
        reader = graph.only_reader(current)
    if not trunk.feeds_compute(chain[-1]):
        return None
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        return "its constants are not finite"
    return Match(source, tuple(chain), scale, shift)


def rewrite(graph: Graph, match: Match) -> None:
    """Put the convolution and one BiasAdd in the place of the chain."""
    last = match.chain[-1]
    dtype = graph.nodes[last].attr["T"]
    control = [name for step in match.chain for name in graph.nodes[step].input if name[0] == "^"]
    weights = match.scale.astype(np.float32).reshape(1, 1, -1, 1)
    constant = graph.add_constant(graph.free_name(f"{last}/scale/weights"), weights)
    convolution = graph.add(
        "DepthwiseConv2dNative",
        graph.free_name(f"{last}/scale"),
        [match.source, constant],
        strides=[1, 1, 1, 1],
        dilations=[1, 1, 1, 1],
        padding="VALID",
        explicit_paddings=[],
        data_format="NHWC",
    )
    shift = graph.free_name(f"{last}/shift")
    bias = graph.add_constant(shift, match.shift.astype(np.float32))
    graph.add("BiasAdd", last, [convolution, bias, *control], data_format="NHWC")
    for name in (convolution, last):
        graph.nodes[name].attr["T"].CopyFrom(dtype)


def _source(graph: Graph, node: Any, trunk: Trunk) -> tuple[str, int] | None:
    """Return the tensor that an affine step reads and its channels; None for other nodes."""
    for source in graph.data_inputs(node):
        tensor = tensor_name(*source)
        if graph.constant(tensor) is not None:
            continue
        channels = trunk.channels(tensor)
        if channels == 1:
            return None  # fp32 convolutions with a single weight can fail (TensorFlow 2.21, oneDNN)
        if channels is None or affine_step(graph, node, tensor, channels, rank=4) is None:
            return None
        return tensor, channels
    return None
