"""From a TF1 graph and its weights to a frozen network, for SavedModels and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.definitions import dtype_of
from lpot_examples.backends.tensorflow.formats.conditionals import resolve_conditionals
from lpot_examples.backends.tensorflow.formats.ends import (
    QUEUES,
    check_names,
    find_inputs,
    find_outputs,
    is_phase,
    known_shape,
)
from lpot_examples.backends.tensorflow.formats.inference import drop_out, settle_batch_norms
from lpot_examples.backends.tensorflow.formats.reorder import reachable
from lpot_examples.backends.tensorflow.formats.signature import Signature, named
from lpot_examples.backends.tensorflow.formats.variables import (
    freeze_by_converter,
    freeze_variables,
    handles_escape,
    stored_names,
)
from lpot_examples.backends.tensorflow.formats.weights import Weights
from lpot_examples.backends.tensorflow.graphdef import Graph, make_node, split_name
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError

_TABLES = frozenset(
    {
        "HashTable",
        "HashTableV2",
        "LookupTableFind",
        "LookupTableFindV2",
        "LookupTableSize",
        "LookupTableSizeV2",
        "MutableDenseHashTableV2",
        "MutableHashTableV2",
    }
)


def freeze_meta_graph(
    graph_def: Any,
    weights: Weights | None,
    *,
    signature: Signature,
    inputs: Sequence[str],
    outputs: Sequence[str],
    source: str,
) -> TensorFlowModel:
    """Return the inference part of a TF1 graph, with the weights in it.

    Args:
        graph_def: The whole graph, with the ops that restore its variables.
        weights: The values of its variables; None if it should have none.
        signature: What its exporter said of its inputs and outputs; may be empty.
        inputs: Tensors to feed, or the signature's names; found when empty. One that is no
            Placeholder becomes one.
        outputs: Tensors to compute, or the signature's names; found when empty.
        source: What to call the network in messages.

    Raises:
        ModelError: If the names do not fit, or the graph cannot be frozen; the message says why.
    """
    _refuse_dangling(graph_def, source)
    graph = Graph(graph_def, inputs=(), outputs=())
    fed = [_plain(name) for name in named(signature.inputs, inputs)]
    wanted = [_plain(name) for name in named(signature.outputs, outputs)]
    placeholders = [node.name for node in graph if node.op == "Placeholder"]
    known = list(signature.inputs) or placeholders
    check_names(fed, graph, kind="input", candidates=known, source=source)
    if wanted:
        known = list(signature.outputs) or list(_ends(graph, source))
        check_names(wanted, graph, kind="output", candidates=known, source=source)
    graph.outputs = tuple(wanted or find_outputs(graph, source))
    stored = stored_names(graph)
    drop_out(graph)
    if not inputs:  # the outputs chosen may need some of the signature's inputs only
        needed = graph.ancestors(graph.outputs)
        fed = [name for name in fed if split_name(name)[0] in needed]
    fed = fed or list(find_inputs(graph, source))
    _settle_unfed(graph, {split_name(name)[0] for name in fed})
    resolve_conditionals(graph)
    settle_batch_norms(graph)
    fed = [_cut(graph, name) for name in fed]
    graph.remove_unreachable()
    _check_inputs(graph, fed, source)
    _drop_updates(graph, source)
    frozen = _frozen(graph, weights, stored, source)
    for node in frozen.node:
        node.device = ""
        node.attr.pop("_output_shapes", None)
    return TensorFlowModel(
        reachable(frozen, graph.outputs, fed), inputs=fed, outputs=graph.outputs, source=source
    )


def _frozen(graph: Graph, weights: Weights | None, stored: Any, source: str) -> Any:
    _refuse_tables(graph, source)
    if handles_escape(graph):
        return freeze_by_converter(graph, weights, stored, source)
    freeze_variables(graph, weights, stored, source)
    graph.remove_unreachable()
    return graph.to_graph_def()


def _ends(graph: Graph, source: str) -> tuple[str, ...]:
    try:
        return find_outputs(graph, source)
    except ModelError:
        return ()


def _plain(name: str) -> str:
    return name.strip().removesuffix(":0")


def _refuse_dangling(graph_def: Any, source: str) -> None:
    names = {node.name for node in graph_def.node}
    if not names:
        raise ModelError(f"{source} holds an empty graph; export the network again.")
    for node in graph_def.node:
        for reference in node.input:
            if split_name(reference)[0] not in names:
                raise ModelError(
                    f"{source} is damaged: node '{node.name}' reads "
                    f"'{split_name(reference)[0]}', which is not in the graph. Export it again."
                )


def _cut(graph: Graph, tensor: str) -> str:
    """Let a tensor be fed: what made it becomes a Placeholder. Return the Placeholder's name."""
    name, port = split_name(tensor)
    node = graph.nodes[name]
    if node.op == "Placeholder" and port == 0:
        return name
    placeholder = make_node("Placeholder", name, [], dtype=dtype_of(graph, tensor))
    shape = known_shape(node, port)
    if shape is None:
        placeholder.attr["shape"].shape.unknown_rank = True
    else:
        placeholder.attr["shape"].shape.CopyFrom(shape)
    if port == 0 and not _has_other_ports(graph, name):
        graph.insert(placeholder)
        return name
    placeholder.name = graph.free_name(f"{name}_{port}")
    graph.insert(placeholder)
    graph.redirect(tensor, placeholder.name)
    return str(placeholder.name)


def _has_other_ports(graph: Graph, name: str) -> bool:
    """Tell whether what the outputs need reads other outputs of a node."""
    needed = graph.ancestors(graph.outputs)
    return any(
        other == name and port > 0
        for reader in graph.readers(name)
        if reader.name in needed
        for other, port in graph.data_inputs(reader)
    )


def _check_inputs(graph: Graph, fed: Sequence[str], source: str) -> None:
    unused = [name for name in fed if name not in graph.nodes]
    if unused:
        raise ModelError(
            f"{source}: the outputs {', '.join(graph.outputs[:5])} do not depend on the input "
            f"'{unused[0]}'. Correct model.inputs or model.outputs in the yaml."
        )
    for node in graph:
        needed = node.op == "Placeholder" and node.name not in fed
        if needed or (node.op in QUEUES and graph.readers(node.name)):
            raise ModelError(
                f"{source}: the outputs {', '.join(graph.outputs[:5])} also need '{node.name}' "
                f"({node.op}). Write it into the yaml's model.inputs, or choose outputs that do "
                "not need it."
            )


def _settle_unfed(graph: Graph, fed: Set[str]) -> None:
    """Let what nobody feeds take its default; that of whether it is training is False."""
    for node in graph:
        if node.name in fed:
            continue
        if node.op == "PlaceholderWithDefault":
            dtype = dtype_of(graph, node.name)
            graph.add("Identity", node.name, list(node.input), T=dtype)
        elif is_phase(node):
            graph.add_constant(node.name, np.array(False))


def _drop_updates(graph: Graph, source: str) -> None:
    """Do not wait for updates of variables; refuse outputs that are computed by one."""
    updates = {node.name for node in graph if node.op.startswith(("Assign", "ResourceApply"))}
    for node in graph:
        waits = [name for name in node.input if name.startswith("^") and name[1:] in updates]
        graph.drop_inputs(node.name, waits)
    graph.remove_unreachable()
    left = [name for name in updates if name in graph.nodes]
    if left:
        raise ModelError(
            f"{source}: the outputs change variables (node '{left[0]}'), as in training. Choose "
            "outputs of the network itself: model.outputs in the yaml."
        )


def _refuse_tables(graph: Graph, source: str) -> None:
    tf = import_tensorflow()
    found = [node for node in graph if node.op in _TABLES]
    if found:
        raise ModelError(
            f"{source} looks values up in a table (node '{found[0].name}', {found[0].op}), which a "
            "frozen graph cannot hold. Choose outputs in front of it, and do the lookup outside."
        )
    handles = [
        node.name
        for node in graph
        if node.op == "Placeholder" and node.attr["dtype"].type == tf.resource.as_datatype_enum
    ]
    if handles:
        raise ModelError(f"{source} needs a resource from outside ('{handles[0]}').")
