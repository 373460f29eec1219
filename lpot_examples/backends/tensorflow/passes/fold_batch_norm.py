"""Fold per-channel arithmetic behind a linear op into its weights and one bias.

    Conv2D(W) ─► Mul(a) ─► Sub(b) ─► AddV2(c)      Conv2D(W·a) ─► BiasAdd(c − b)
                                              ══►
    Conv2D(W) ─► BiasAdd ─► FusedBatchNormV3       Conv2D(W·a) ─► BiasAdd

Batch-norm is the common case: TF1 freezes it as FusedBatchNorm, Keras 3 as Mul, Sub and AddV2 with
constants. Any chain of constant, per-channel affine steps is absorbed:
y = s·(x∗W) + t is computed as x∗(s·W) + t. The last node of the chain keeps its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.graphdef import Array, Graph, tensor_name

ANCHORS = frozenset({"Conv2D", "DepthwiseConv2dNative", "MatMul"})

BATCH_NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})


@dataclass(frozen=True)
class Match:
    """A linear op and the affine steps behind it.

    Attributes:
        anchor: The linear op's node.
        chain: Names of the absorbed nodes, in order.
        scale: float64 [channels].
        shift: float64 [channels].
    """

    anchor: Any
    chain: tuple[str, ...]
    scale: Array
    shift: Array


def check(graph: Graph, node: Any) -> Match | str | None:
    """Match a linear op followed by per-channel affine steps other than a lone BiasAdd."""
    weights = graph.constant(node.input[1])
    if weights is None:
        return "its weights are not constant"
    if weights.dtype != np.float32:
        return f"its weights are {weights.dtype}, not float32"
    if node.op != "MatMul" and node.attr["data_format"].s not in (b"", b"NHWC"):
        return "its layout is NCHW"
    channels = output_channels(node, weights)
    scale, shift = np.ones(channels), np.zeros(channels)
    chain: list[str] = []
    current = node
    while (reader := graph.only_reader(current.name)) is not None:
        rank = 2 if node.op == "MatMul" else 4
        step = affine_step(graph, reader, current.name, channels, rank=rank)
        if step is None:
            break
        with np.errstate(invalid="ignore", over="ignore"):
            scale, shift = step[0] * scale, step[0] * shift + step[1]
        chain.append(reader.name)
        current = reader
    if not chain or (len(chain) == 1 and graph.nodes[chain[0]].op == "BiasAdd"):
        return None
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        return "its batch-norm constants are not finite"
    return Match(node, tuple(chain), scale, shift)


def rewrite(graph: Graph, match: Match) -> None:
    """Scale the weights, and put one BiasAdd in the place of the chain's last node."""
    anchor, last = match.anchor, match.chain[-1]
    weights = graph.constant(anchor.input[1])
    assert weights is not None
    if not np.all(match.scale == 1.0):
        scaled = (weights * broadcast(anchor, weights, match.scale)).astype(np.float32)
        graph.set_input(anchor.name, 1, graph.add_constant(f"{anchor.name}/folded_weights", scaled))
    bias = graph.add_constant(f"{last}/folded_bias", match.shift.astype(np.float32))
    tf_type = graph.nodes[anchor.name].attr["T"]
    control = [name for step in match.chain for name in graph.nodes[step].input if name[0] == "^"]
    graph.add("BiasAdd", last, [anchor.name, bias, *control], data_format="NHWC")
    graph.nodes[last].attr["T"].CopyFrom(tf_type)


def output_channels(node: Any, weights: Array) -> int:
    """Return how many output channels a linear op has."""
    if node.op == "DepthwiseConv2dNative":
        return int(weights.shape[2] * weights.shape[3])
    if node.op == "MatMul":
        return int(weights.shape[0 if node.attr["transpose_b"].b else 1])
    return int(weights.shape[3])


def broadcast(node: Any, weights: Array, per_channel: Array) -> Array:
    """Shape a [channels] vector so that it multiplies a linear op's weights channel by channel."""
    if node.op == "DepthwiseConv2dNative":
        return per_channel.reshape(weights.shape[2:])
    if node.op == "MatMul" and node.attr["transpose_b"].b:
        return per_channel.reshape(-1, 1)
    return per_channel


def affine_step(
    graph: Graph, node: Any, source: str, channels: int, *, rank: int
) -> tuple[Array, Array] | None:
    """Return what one node does to ``source``, if that is scale · x + shift per channel.

    Args:
        graph: The graph.
        node: The node.
        source: The tensor that it reads.
        channels: The last dimension of that tensor.
        rank: Its rank.

    Returns:
        (scale, shift), float64 [channels] each, or None if it does something else.
    """
    if node.op in BATCH_NORMS:
        return _batch_norm(graph, node, source)
    if node.op not in ("Mul", "Add", "AddV2", "Sub", "BiasAdd", "RealDiv"):
        return None
    if node.op == "BiasAdd" and node.attr["data_format"].s not in (b"", b"NHWC"):
        return None
    operands = [tensor_name(name, port) for name, port in graph.data_inputs(node)]
    first = operands[0] == source
    constant = graph.constant(operands[1] if first else operands[0])
    if constant is None or not per_channel(constant, channels, rank=rank):
        return None
    value = np.broadcast_to(constant.astype(np.float64).reshape(-1), (channels,))
    one, zero = np.ones(channels), np.zeros(channels)
    if node.op == "Mul":
        return value, zero
    if node.op == "RealDiv":
        return (1.0 / value, zero) if first and np.all(value != 0) else None
    if node.op == "Sub":
        return (one, -value) if first else (-one, value)
    return one, value


def per_channel(constant: Array, channels: int, *, rank: int) -> bool:
    """Tell whether a constant varies along the last dimension only and adds no dimension.

    Args:
        constant: The other operand of an elementwise op.
        channels: The last dimension of the tensor.
        rank: The tensor's rank.
    """
    if constant.dtype != np.float32 or constant.ndim > rank:
        return False
    if constant.size == 1:
        return True
    return constant.size == channels and constant.shape[-1] == channels


def _batch_norm(graph: Graph, node: Any, source: str) -> tuple[Array, Array] | None:
    """Return the affine form of an inference batch-norm: γ/√(σ²+ε) and β − μ·that."""
    if node.input[0] != source or node.attr["is_training"].b:
        return None
    if node.attr["data_format"].s not in (b"", b"NHWC"):
        return None
    other_ports = any(
        name == node.name and port > 0
        for reader in graph.readers(node.name)
        for name, port in graph.data_inputs(reader)
    )
    values = [graph.constant(name) for name in node.input[1:5]]
    if other_ports or any(value is None for value in values):
        return None
    gamma, beta, mean, variance = (np.asarray(value, np.float64) for value in values)
    scale = gamma / np.sqrt(variance + node.attr["epsilon"].f)
    return scale, beta - mean * scale
