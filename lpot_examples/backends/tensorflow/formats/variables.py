"""Put the values that a checkpoint holds in the place of a TF1 graph's variables.

    VariableV2 ─► Identity ─► Conv2D              Const ─► Identity ─► Conv2D
                                           ══►
    VarHandleOp ─► ReadVariableOp ─► MatMul       Const ─► Identity ─► MatMul

No session is needed for this, and nothing of a training graph but its inference part is looked at,
so that ops unknown here (readers of data, say) do no harm elsewhere in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lpot_examples.backends.tensorflow.formats.weights import Weights
from lpot_examples.backends.tensorflow.graphdef import Array, Graph, split_name
from lpot_examples.backends.tensorflow.model import first_line
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError

REFERENCES = frozenset({"Variable", "VariableV2"})
HANDLES = frozenset({"VarHandleOp"})
VARIABLES = REFERENCES | HANDLES

_ASSIGNMENTS = frozenset({"Assign", "AssignVariableOp"})
# Control flow and reads of references; of a constant they are the same without "Ref".
_PLAIN_FLOW = frozenset({"Enter", "Exit", "Identity", "Merge", "NextIteration", "Select", "Switch"})
# What reads a variable through its handle, and the op that does the same with a constant.
_READERS = {
    "ReadVariableOp": "Identity",
    "ResourceGather": "GatherV2",
    "ResourceGatherNd": "GatherNd",
    "VariableShape": "Shape",
}


@dataclass(frozen=True)
class _Stored:
    """Where a checkpoint keeps a variable: a name, and the part of it for partitioned ones."""

    name: str
    part: str = ""


def stored_names(graph: Graph) -> dict[str, _Stored]:
    """Return what the graph's own restore ops say about each variable, by node name."""
    found = {}
    for node in graph:
        if node.op not in _ASSIGNMENTS or len(node.input) < 2:
            continue
        variable = _origin(graph, node.input[0])
        restore, port = split_name(_through_identities(graph, node.input[1]))
        reader = graph.nodes.get(restore)
        if variable is None or reader is None or reader.op != "RestoreV2":
            continue
        names, parts = (graph.constant(reader.input[index]) for index in (1, 2))
        if names is not None and parts is not None and port < names.size:
            found[variable] = _Stored(names.flat[port].decode(), parts.flat[port].decode())
    return found


def _through_identities(graph: Graph, source: str) -> str:
    while (node := graph.nodes.get(split_name(source)[0])) is not None and node.op == "Identity":
        source = node.input[0]
    return source


def _origin(graph: Graph, source: str) -> str | None:
    """Return the variable that a reference or handle is of."""
    name = split_name(_through_identities(graph, source))[0]
    return name if name in graph.nodes and graph.nodes[name].op in VARIABLES else None


def freeze_variables(
    graph: Graph, weights: Weights | None, stored: Mapping[str, _Stored], source: str
) -> None:
    """Replace every variable by a constant.

    Args:
        graph: Pruned to inference; changed in place.
        weights: The checkpoint; None for a network that should have no variables.
        stored: See `stored_names`.
        source: What to call the network in messages.

    Raises:
        ModelError: If the checkpoint lacks a value, or has one of another shape.
    """
    variables = [node for node in graph if node.op in VARIABLES]
    for node in variables:
        value = _value_of(node, weights, stored.get(node.name, _Stored(node.name)), source)
        if node.op in HANDLES:
            _replace_handle_readers(graph, node)
        graph.add_constant(node.name, value)
    for node in graph:
        if node.op.startswith("Ref") and node.op[3:] in _PLAIN_FLOW:
            node.op = node.op[3:]


def _value_of(node: Any, weights: Weights | None, stored: _Stored, source: str) -> Array:
    if weights is None or stored.name not in weights.shapes:
        raise ModelError(
            f"{source} has no value for the variable '{node.name}'"
            + (f" (it holds {len(weights.shapes)} others)" if weights is not None else "")
            + "; graph and weights do not belong together. Give those of one training."
        )
    value = weights.value(stored.name)
    if stored.part:
        value = value[_slices(stored.part)]
    shape = node.attr["shape"].shape
    wanted = [dim.size for dim in shape.dim]
    if not shape.unknown_rank and not _fits(value.shape, wanted):
        raise ModelError(
            f"{source}: the variable '{node.name}' has the shape {wanted} in the graph and "
            f"{list(value.shape)} in the checkpoint; they do not belong together."
        )
    if value.dtype.kind in "OSU":
        raise ModelError(
            f"{source}: the variable '{node.name}' holds strings, which cannot be frozen; choose "
            "outputs that do not need it."
        )
    return value


def _fits(shape: tuple[int, ...], wanted: list[int]) -> bool:
    if not wanted:  # old files leave the shape out
        return True
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(size in (-1, got) for got, size in pairs)


def _slices(part: str) -> tuple[slice, ...]:
    """Read TensorFlow's ``"<sizes> <first>,<count>:-:…"``, where ``-`` is everything."""
    ranges = part.split(" ")[-1].split(":")
    found = []
    for text in ranges:
        first, _, count = text.partition(",")
        found.append(slice(int(first), int(first) + int(count)) if count else slice(None))
    return tuple(found)


def _replace_handle_readers(graph: Graph, variable: Any) -> None:
    dtype = variable.attr["dtype"].type
    for reader in list(_handle_readers(graph, variable.name)):
        graph.set_input(reader.name, 0, variable.name)
        old = {key: reader.attr[key] for key in reader.attr}
        if reader.op == "VarIsInitializedOp":
            graph.add_constant(reader.name, np.array(True))
            continue
        inputs = list(reader.input)
        op = _READERS[reader.op]
        attrs: dict[str, Any] = {}
        if reader.op == "ResourceGather":
            axis = graph.add_constant(graph.free_name(f"{reader.name}/axis"), np.array(0, np.int32))
            inputs.insert(2, axis)
            attrs["batch_dims"] = old["batch_dims"].i
            attrs["Taxis"] = import_tensorflow().int32
        graph.add(op, reader.name, inputs, **attrs)
        made = graph.nodes[reader.name].attr
        made["Tparams" if "Gather" in op else "T"].type = dtype
        for key in ("Tindices", "out_type"):
            if key in old:
                made[key].CopyFrom(old[key])


def _handle_readers(graph: Graph, name: str) -> Iterator[Any]:
    for reader in graph.readers(name):
        if reader.op == "Identity":
            yield from _handle_readers(graph, reader.name)
        elif reader.op in _READERS or reader.op == "VarIsInitializedOp":
            yield reader


def handles_escape(graph: Graph) -> bool:
    """Tell whether a handle goes anywhere but to plain reads: into functions, loops or branches."""
    return any(
        reader.op not in _READERS and reader.op not in ("Identity", "VarIsInitializedOp")
        for node in graph
        if _carries_handle(graph, node)
        for reader in graph.readers(node.name)
        if any(split_name(source) == (node.name, 0) for source in reader.input)
    )


def _carries_handle(graph: Graph, node: Any) -> bool:
    return node.op in HANDLES or (
        node.op == "Identity" and _origin(graph, node.name) is not None and _is_resource(node)
    )


def _is_resource(node: Any) -> bool:
    return bool(node.attr["T"].type == import_tensorflow().resource.as_datatype_enum)


def freeze_by_converter(
    graph: Graph, weights: Weights | None, stored: Mapping[str, _Stored], source: str
) -> Any:
    """Freeze as `freeze_variables`, by TensorFlow's converter, which follows handles anywhere.

    Returns:
        A ``GraphDef``.

    Raises:
        ModelError: As `freeze_variables`, and if TensorFlow cannot convert the graph.
    """
    tf = import_tensorflow()
    from tensorflow.python.framework import convert_to_constants

    values = {
        node.name: _value_of(node, weights, stored.get(node.name, _Stored(node.name)), source)
        for node in graph
        if node.op in VARIABLES
    }
    outputs = sorted({split_name(name)[0] for name in graph.outputs})
    try:
        return convert_to_constants.convert_variables_to_constants_from_session_graph(
            _Values(values), graph.to_graph_def(), outputs
        )
    except (tf.errors.OpError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"{source} cannot be frozen: {first_line(error)}. Freeze it with the version of "
            "TensorFlow that made it, and give the frozen .pb."
        ) from error


class _Values:
    """Stands in for a session, which the converter asks for the values of variables only."""

    def __init__(self, values: Mapping[str, Array]) -> None:
        self._values = values

    def run(self, tensors: Iterable[str]) -> list[Array]:
        """Return the values of variables, or of reads of their handles."""
        names = (name.removesuffix(":0").removesuffix("/Read/ReadVariableOp") for name in tensors)
        return [self._values[name] for name in names]
