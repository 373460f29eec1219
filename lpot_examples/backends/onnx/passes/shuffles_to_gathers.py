"""A channel shuffle, and the choice of channels behind it, become one Gather.

    x [n, c, h, w] ─► Reshape ─► Transpose ─► Reshape ─► Split ─┬─► y
                                                                └─► z      becomes

    x ─┬─► Gather(the channels of y) ─► y
       └─► Gather(the channels of z) ─► z

ONNX Runtime's int8 convolutions have their channels last, and around a shuffle each tensor is
brought back to channels first. There a Gather copies whole planes, once; so does it in fp32. What
the ops do is found by sending numbers through them. A Slice that takes every second channel is the
same case; runs of channels that lie side by side are left to Split and Slice, which run well with
channels last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.onnx import proto
from lpot_examples.backends.onnx.channels import run_movement
from lpot_examples.backends.onnx.graph import Graph
from lpot_examples.backends.onnx.passes.names import Names, replaced
from lpot_examples.backends.onnx.proto import is_standard
from lpot_examples.errors import ModelError

_MOVING = ("Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")

# With these alone, runs of channels stay what they are.
_CUTTING = ("Slice", "Split")

# Where the size of a batch is free, shuffles are looked at with so many samples.
_SAMPLES = 2

# What float32 can count up to.
_MOST_VALUES = 1 << 24


@dataclass(frozen=True)
class Chain:
    """Movement ops from a tensor on that none of them makes.

    Attributes:
        source: That tensor.
        nodes: In order of execution.
        ends: The tensors that others read, and how many ops of which types stand in front of them.
    """

    source: str
    nodes: Sequence[Any]
    ends: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Match:
    """Channels that chains of ops choose.

    Attributes:
        source: The tensor that they choose from.
        chosen: Tensor to the channels that it is made of.
    """

    source: str
    chosen: Mapping[str, tuple[int, ...]]


def run(model: Any) -> Any:
    """Return the model with all such choices rewritten; the same one if there are none."""
    graph = Graph(model)
    names = Names(graph)
    made: dict[str, Any] = {}
    for chain in chains(graph):
        match = check(graph, chain)
        if isinstance(match, Match):
            made.update(rewrite(match, names))
    return _put(graph, made, names) if made else model


def chains(graph: Graph) -> list[Chain]:
    """Return all chains of movement ops with one source."""
    sources: dict[str, str] = {}
    types: dict[str, tuple[str, ...]] = {}
    nodes = defaultdict[str, list[Any]](list)
    ends = defaultdict[str, dict[str, tuple[str, ...]]](dict)
    moving = {name for name, node in graph.nodes.items() if _moves(graph, node)}
    for name, node in graph.nodes.items():
        if name not in moving:
            continue
        source = sources.get(node.input[0], node.input[0])
        nodes[source].append(node)
        for tensor in node.output:
            sources[tensor] = source
            types[tensor] = (*types.get(node.input[0], ()), node.op_type)
            readers = [one.name for one in graph.readers(tensor)]
            if tensor in graph.outputs or any(one not in moving for one in readers):
                ends[source][tensor] = types[tensor]
    return [Chain(source, own, ends[source]) for source, own in nodes.items()]


def check(graph: Graph, chain: Chain) -> Match | str:
    """Find the ends of a chain that are choices of its source's channels."""
    shape = graph.shape(chain.source)
    if shape is None or len(shape) != 4 or None in shape[1:]:
        return "it is no image of known size"
    whole = (shape[0] or _SAMPLES, *(size or 0 for size in shape[1:]))
    count = int(np.prod(whole))
    if count > _MOST_VALUES or not graph.is_float(chain.source):
        return "its values cannot be numbered in float32"
    numbers = np.arange(count, dtype=np.float32).reshape(whole)
    try:
        found = run_movement(graph, chain.nodes, {chain.source: numbers})
    except ModelError:
        return "it depends on more than its source"
    chosen = {}
    for tensor, types in chain.ends.items():
        made = found[tensor]
        if made.ndim != 4 or made.shape[0] != whole[0] or made.shape[2:] != whole[2:]:
            continue
        channels = (made[0, :, 0, 0] // (whole[2] * whole[3])).astype(np.intp) % whole[1]
        beside = bool(np.all(np.diff(channels) == 1))
        if np.any(made != numbers[:, channels]) or (beside and set(types) <= {*_CUTTING}):
            continue
        if types != ("Gather",):
            chosen[tensor] = tuple(int(one) for one in channels)
    if not chosen:
        return "it chooses no channels, or does so in the best way"
    return Match(chain.source, chosen)


def rewrite(match: Match, names: Names) -> dict[str, Any]:
    """Return a node for each tensor that is chosen."""
    made = {}
    for tensor, channels in match.chosen.items():
        which = names.constant(f"{tensor}/which", np.array(channels, np.int64))
        name = names.free(f"{tensor}/chosen")
        made[tensor] = proto.node("Gather", [match.source, which], tensor, name=name, axis=1)
    return made


def _moves(graph: Graph, node: Any) -> bool:
    """Tell whether a node moves values of its first input, in a way that is constant."""
    others = [tensor for tensor in node.input[1:] if tensor]
    return (
        is_standard(node, *_MOVING)
        and not graph.is_constant(node.input[0])
        and all(map(graph.is_constant, others))
    )


def _put(graph: Graph, made: Mapping[str, Any], names: Names) -> Any:
    """Return the model with other makers of tensors, and without ops whose outputs no one reads."""
    new: dict[str, list[Any]] = {}
    for name, node in graph.nodes.items():
        own = [made[tensor] for tensor in node.output if tensor in made]
        if not own:
            continue
        if len(own) < len(node.output):  # another of its outputs is still needed, or may be
            node = proto.copy_of_node(node)
            for index, tensor in enumerate(node.output):
                if tensor in made:
                    node.output[index] = names.free(f"{tensor}/unread")
            own.append(node)
        new[name] = own
    model = replaced(graph, new, names.constants)
    wanted = {one.name for one in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            kept.append(proto.copy_of_node(node))
            wanted.update(proto.read_by(node))
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))
    return model
