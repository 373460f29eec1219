"""The names of a frozen graph's nodes, read without TensorFlow.

Only names are described to the parser; all else in the file is skipped.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from lpot_examples.errors import ModelError


def node_names(path: Path) -> frozenset[str]:
    """Return the names of the nodes of a frozen graph.

    Args:
        path: A ``.pb`` file.

    Raises:
        ModelError: If the file cannot be read or is no ``GraphDef``.
    """
    from google.protobuf.message import DecodeError

    try:
        graph = _graph_type().FromString(path.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}.") from error
    except DecodeError:
        raise ModelError(
            f"{path} is no frozen TensorFlow graph, or not a whole one. Delete it and prepare the "
            "model again."
        ) from None
    return frozenset(node.name for node in graph.node)


@cache
def _graph_type() -> Any:
    """Return a message type with the fields of ``GraphDef`` and ``NodeDef`` that hold names.

    Field numbers: tensorflow/core/framework/graph.proto and node_def.proto.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="names.proto", package="names")
    node = file.message_type.add(name="Node")
    node.field.add(name="name", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_STRING)
    graph = file.message_type.add(name="Graph")
    graph.field.add(
        name="node",
        number=1,
        label=field.LABEL_REPEATED,
        type=field.TYPE_MESSAGE,
        type_name=".names.Node",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("names.Graph"))
