"""What TensorFlow's op registry and a graph's library say about ops."""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph, split_name
from lpot_examples.backends.tensorflow.runtime import import_tensorflow


def definition(graph: Graph, op: str) -> Any | None:
    """Return the ``OpDef`` of an op or function, or None if it is unknown."""
    from tensorflow.python.framework import op_def_registry

    return graph.functions[op].signature if op in graph.functions else op_def_registry.get(op)


def dtype_of(graph: Graph, tensor: str) -> Any:
    """Return the ``tf.DType`` of a tensor.

    Raises:
        KeyError: If the node has no such output.
    """
    name, port = split_name(tensor)
    node = graph.nodes[name]
    found = definition(graph, node.op)
    types: list[int] = []
    for item in found.output_arg if found is not None else ():
        if item.type_list_attr:
            types += node.attr[item.type_list_attr].list.type
            continue
        count = node.attr[item.number_attr].i if item.number_attr else 1
        types += [item.type or node.attr[item.type_attr].type] * count
    if port >= len(types):
        raise KeyError(f"{node.op} '{name}' has {len(types)} outputs")
    return import_tensorflow().as_dtype(types[port])
