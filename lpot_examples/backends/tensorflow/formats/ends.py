"""Where a TF1 graph begins and ends, when nobody says: a training graph has more than a network.

    Placeholder images ─► network ─► logits ─► loss ─► gradients ─► updates
    Placeholder labels ────────────────────────┘

An input is data that reaches a convolution or matrix product. What depends on other data (labels)
is loss or metric, not network. An output is what no other part of the network reads; where Identity
nodes outside every scope give names to some of these, as exporters do, these are meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError, nearest

# Where batches come from in graphs that read their data themselves.
QUEUES = frozenset(
    {
        "IteratorGetNext",
        "IteratorGetNextSync",
        "QueueDequeue",
        "QueueDequeueV2",
        "QueueDequeueMany",
        "QueueDequeueManyV2",
        "QueueDequeueUpTo",
        "QueueDequeueUpToV2",
    }
)
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})
_DEFAULTED = "PlaceholderWithDefault"
_SOURCES = QUEUES | _PLACEHOLDERS | {_DEFAULTED}

# Ops of weights: what reaches them is what the network works on.
_LEARNED = frozenset(
    {
        "Conv2D",
        "DepthwiseConv2dNative",
        "Conv2DBackpropInput",
        "Conv3D",
        "MatMul",
        "BatchMatMul",
        "BatchMatMulV2",
        "Einsum",
    }
)
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_TRAINING = re.compile(r"(?:^|/)(?:gradients?(?:_\d+)?|save(?:_\d+)?)/")
_UPDATES = re.compile(
    r"(?:Resource|Sparse|ResourceSparse)?Apply[A-Z]\w*|Assign\w*|(?:Resource)?Scatter\w*"
)
_OPTIMIZERS = re.compile(r"(?:Resource|Sparse|ResourceSparse)?Apply[A-Z]\w*")
# They look at the network and are no part of it.
_OBSERVERS = re.compile(r"\w*Summary\w*|Print(?:V2)?|Assert|Save\w*|Queue\w+|NoOp|Shape|Size|Rank")
_NAMED = re.compile(r"(?!Identity(?:_\d+)?$)[^/]+$")
_DECISIONS = frozenset({"ArgMax", "ArgMin", "TopKV2"})
_PHASE = re.compile(r"train|phase|learning", re.IGNORECASE)
_NEVER_OUTPUTS = frozenset({"Const", "NoOp", *_SOURCES})
_FEW = 12


def find_outputs(graph: Graph, source: str) -> tuple[str, ...]:
    """Return the tensors of the network that nothing in the network reads, in the graph's order.

    Args:
        graph: The whole graph, training ops and all.
        source: What to call it in messages.

    Raises:
        ModelError: If a training graph ends in none or in several; the message lists them.
    """
    flow = _Flow(graph)
    found = flow.ends()
    # As exporters do: an Identity by which an output gets its name.
    named = [name for name in found if graph.nodes[name].op == "Identity" and _NAMED.match(name)]
    found = named or found
    if found and (len(found) == 1 or not flow.training):
        return tuple(found)
    listed = found or flow.candidates()
    names = ", ".join(listed[-_FEW:]) or "none"
    many = f"{len(found)} outputs" if found else "no output"
    raise ModelError(
        f"{source} is a training graph in which {many} can be told from loss and metrics; write "
        f"into the yaml which tensors are meant, such as model: outputs: "
        f"{listed[-1] if listed else 'logits'}. Candidates: {names}."
    )


class _Flow:
    """Which data every node depends on."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        # Scalars are not labels: they are rates, flags and temperatures.
        batches = [
            tensor
            for tensor in _source_tensors(graph)
            if not _is_scalar(graph.nodes[split_name(tensor)[0]])
        ]
        bits = {name: 1 << index for index, name in enumerate(batches)}
        self._depends = _propagate(graph, bits)
        used = self._reaching(_LEARNED) or self._reaching(_CALLS) or sum(bits.values())
        self._images = used
        everything = sum(bits.values())
        self._labels = everything & ~used
        self._metrics = {
            node.name for node in graph if node.op in _DECISIONS and self._is_judged(node)
        }
        self.training = bool(self._labels) or any(
            _OPTIMIZERS.fullmatch(node.op) or node.name.startswith("gradients/") for node in graph
        )

    def _reaching(self, ops: Set[str]) -> int:
        """Return the sources that reach ops of some types in the network, as bits."""
        found = 0
        for node in self._graph:
            if node.op in ops and not _TRAINING.search(node.name):
                found |= self._depends.get(node.name, 0)
        return found

    def ends(self) -> list[str]:
        """Return the outputs."""
        return [
            node.name
            for node in self._graph
            if self._inside(node)
            and node.op not in _NEVER_OUTPUTS
            and not _is_scalar(node)
            and not any(self._reads(reader, node.name) for reader in self._graph.readers(node.name))
        ]

    def candidates(self) -> list[str]:
        """Return what could be meant as an output where `ends` finds none."""
        kinds = {"Softmax", "Sigmoid", "BiasAdd", "Tanh", *_LEARNED}
        return [node.name for node in self._graph if self._inside(node) and node.op in kinds]

    def _is_judged(self, node: Any) -> bool:
        """Tell whether a decision is there only to be compared with labels."""
        readers = self._graph.readers(node.name)
        return bool(readers) and not any(self._depends_well(reader) for reader in readers)

    def _depends_well(self, node: Any) -> bool:
        depends = self._depends.get(node.name, 0)
        return bool(depends & self._images) and not depends & self._labels

    def _inside(self, node: Any) -> bool:
        return (
            self._depends_well(node)
            and node.name not in self._metrics
            and not _TRAINING.search(node.name)
            and not _OBSERVERS.fullmatch(node.op)
            and not _UPDATES.fullmatch(node.op)
        )

    def _reads(self, reader: Any, name: str) -> bool:
        if all(other != name for other, _ in self._graph.data_inputs(reader)):
            return False
        if _UPDATES.fullmatch(reader.op) and not _TRAINING.search(reader.name):
            return not self._depends.get(reader.name, 0) & self._labels
        return self._inside(reader)


def _source_tensors(graph: Graph, among: Set[str] | None = None) -> list[str]:
    """Return the tensors that data comes from, each port of a queue or iterator by itself."""
    found = []
    for node in graph:
        if node.op not in _SOURCES or (among is not None and node.name not in among):
            continue
        if node.op == _DEFAULTED and _is_scalar(node):
            continue
        ports = {0}
        if node.op in QUEUES:
            for reader in graph.readers(node.name):
                ports |= {port for name, port in graph.data_inputs(reader) if name == node.name}
        found += [tensor_name(node.name, port) for port in sorted(ports)]
    return found


def _propagate(graph: Graph, bits: dict[str, int]) -> dict[str, int]:
    """Return for every node the sources that it depends on, as bits."""
    depends: dict[str, int] = {}
    stack = []
    for tensor, bit in bits.items():
        name, port = split_name(tensor)
        for reader in graph.readers(name):
            if (name, port) in graph.data_inputs(reader):
                stack.append((reader.name, bit))
        if graph.nodes[name].op not in QUEUES:
            depends[name] = depends.get(name, 0) | bit
    while stack:
        name, new = stack.pop()
        new &= ~depends.get(name, 0)
        if not new:
            continue
        depends[name] = depends.get(name, 0) | new
        stack += [
            (reader.name, new)
            for reader in graph.readers(name)
            if any(other == name for other, _ in graph.data_inputs(reader))
        ]
    return depends


def _is_scalar(node: Any) -> bool:
    shape = known_shape(node, 0)
    return shape is not None and not shape.unknown_rank and not shape.dim


def known_shape(node: Any, port: int) -> Any | None:
    """Return the ``TensorShapeProto`` that an exported graph remembers of a tensor, or None."""
    if "_output_shapes" in node.attr:
        shapes = node.attr["_output_shapes"].list.shape
        if port < len(shapes):
            return shapes[port]
    if node.op in (*_PLACEHOLDERS, _DEFAULTED) and port == 0 and "shape" in node.attr:
        shape = node.attr["shape"].shape
        return shape if shape.dim else None  # old files leave it out
    return None


def is_phase(node: Any) -> bool:
    """Tell whether a node is fed with whether the network is being trained."""
    if node.op != "Placeholder" or not _PHASE.search(node.name):
        return False
    return bool(node.attr["dtype"].type == import_tensorflow().bool.as_datatype_enum)


def find_inputs(graph: Graph, source: str) -> tuple[str, ...]:
    """Return the tensors that data enters by on its way to the outputs, in the graph's order.

    Args:
        graph: The graph; its outputs are known.
        source: What to call it in messages.

    Raises:
        ModelError: If there is none, or the graph reads its own data by several tensors.
    """
    needed = graph.ancestors(graph.outputs)
    placeholders = [
        node.name
        for node in graph
        if node.op in _PLACEHOLDERS and node.name in needed and not is_phase(node)
    ]
    if placeholders:
        return tuple(placeholders)
    others = [
        tensor for tensor in _source_tensors(graph, needed) if _is_read(graph, tensor, needed)
    ]
    if len(others) == 1:
        return (others[0],)
    if not others:
        raise ModelError(
            f"{source} has no input: its outputs ({', '.join(graph.outputs[:_FEW])}) read no "
            "Placeholder. Write into the yaml which tensor is fed: model: inputs: <tensor>."
        )
    raise ModelError(
        f"{source} reads its data by {len(others)} tensors; write into the yaml which is fed, "
        f"such as model: inputs: {others[0]}. Candidates: {', '.join(others[:_FEW])}."
    )


def _is_read(graph: Graph, tensor: str, needed: Set[str]) -> bool:
    name, port = split_name(tensor)
    return tensor in graph.outputs or any(
        reader.name in needed and (name, port) in graph.data_inputs(reader)
        for reader in graph.readers(name)
    )


def check_names(
    names: Iterable[str], graph: Graph, *, kind: str, candidates: Iterable[str], source: str
) -> None:
    """Refuse names that no node has.

    Args:
        names: Tensor or node names.
        graph: The graph.
        kind: ``input`` or ``output``.
        candidates: What to propose.
        source: What to call the network.

    Raises:
        ModelError: With the nearest name.
    """
    known = list(candidates)
    for name in names:
        node = split_name(name)[0]
        if node not in graph.nodes:
            listed = ", ".join(known[:_FEW]) or "none"
            near = nearest(node, [*known, *graph.nodes])
            raise ModelError(
                f"{source} has no node for {kind} '{node}'.{near} Candidates: {listed}."
            )
