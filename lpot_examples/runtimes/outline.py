"""Ops, inputs and outputs of a network's file, read without the framework it is of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lpot_examples.backends.registry import framework_of
from lpot_examples.errors import ModelError

# How names of ops begin that compute with eight bits or convert to and from them; FakeQuant, which
# works on floats, is none of them. TensorFlow writes some with a leading underscore.
_EIGHT_BITS = ("Quantize", "Dequantize", "DynamicQuantize", "FusedQuantize", "QLinear")
_ENDING = "Integer"


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What a file says of its network.

    Attributes:
        inputs: Names of the inputs, in the file's order.
        outputs: Names of the outputs: as an .onnx file lists them; of a frozen graph, the nodes
            that nobody reads.
        ops: The types of its ops.
        emulated: Whether FakeQuantize means eight bits in this format.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    ops: frozenset[str]
    emulated: bool = False

    @property
    def eight_bit_ops(self) -> tuple[str, ...]:
        """The types of the ops of quantized networks, sorted; none in an fp32 one."""
        return tuple(
            sorted(
                op
                for op in self.ops
                if op.lstrip("_").startswith(_EIGHT_BITS) or op.endswith(_ENDING)
            )
        )

    @property
    def precision(self) -> str:
        """``int8`` if any op is one of quantized networks, else ``fp32``.

        OpenVINO's IR says by FakeQuantize what runs in eight bits.
        """
        return "int8" if self.eight_bit_ops or self.emulated else "fp32"


def outline_of(path: Path) -> Outline | None:
    """Return the outline of an ``.onnx`` file, a frozen ``.pb`` or an IR of OpenVINO (``.xml``).

    Returns:
        None for other formats.

    Raises:
        ModelError: If there is no such file, or it is damaged.
    """
    if framework_of(path).name == "onnx":
        return _of_onnx(path)
    if path.suffix.lower() == ".xml":
        return _of_ir(path)
    from lpot_examples.backends.tensorflow.formats.detect import Format, detect_format

    return _of_frozen(path) if detect_format(path) is Format.FROZEN else None


def _of_onnx(path: Path) -> Outline:
    from lpot_examples.backends.onnx.proto import own_inputs, subgraphs
    from lpot_examples.backends.onnx.reading import read_model

    proto = read_model(path, weights=False)
    nodes = [*proto.graph.node, *(node for one in proto.functions for node in one.node)]
    nodes += [inner for node in nodes for graph in subgraphs(node) for inner in graph.node]
    return Outline(
        inputs=_names(own_inputs(proto.graph)),
        outputs=_names(proto.graph.output),
        ops=frozenset(node.op_type for node in nodes),
    )


def _of_ir(path: Path) -> Outline:
    """Read an IR: layers with ports whose ``names`` are those of tensors."""
    try:
        tree = ElementTree.parse(path)
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}.") from error
    except ElementTree.ParseError as error:
        raise ModelError(f"{path} is damaged, or no IR of OpenVINO: {error}.") from error
    layers = {one.get("id", ""): one for one in tree.iter("layer")}
    sources = {one.get("to-layer"): one for one in tree.iter("edge")}
    ends = (sources[name] for name, one in layers.items() if one.get("type") == "Result")
    ops = frozenset(one.get("type", "") for one in layers.values())
    return Outline(
        inputs=tuple(_port(one, "0") for one in layers.values() if one.get("type") == "Parameter"),
        outputs=tuple(_port(layers[e.get("from-layer", "")], e.get("from-port", "")) for e in ends),
        ops=ops,
        emulated="FakeQuantize" in ops,
    )


def _port(layer: ElementTree.Element, port: str) -> str:
    """Return the first name of what a layer gives at a port; the layer's own if it has none."""
    found = layer.find(f"output/port[@id='{port}']")
    names = "" if found is None else found.get("names", "")
    return (names.split(",")[0] or layer.get("name", "")).removesuffix(":0")


def _of_frozen(path: Path) -> Outline:
    from google.protobuf.message import DecodeError

    from lpot_examples.backends.tensorflow.model import find_inputs, find_outputs

    graph = _graph_message()()
    try:
        graph.ParseFromString(path.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}.") from error
    except DecodeError as error:
        raise ModelError(
            f"{path} is damaged, or no frozen graph of TensorFlow. Copy or freeze it again."
        ) from error
    bodies = (node for function in graph.library.function for node in function.node_def)
    return Outline(
        inputs=find_inputs(graph),
        outputs=find_outputs(graph),
        ops=frozenset(node.op for node in (*graph.node, *bodies)),
    )


@cache
def _graph_message() -> Any:
    """Return a message of the parts of a GraphDef that matter here; the rest is skipped.

    Importing TensorFlow for its own one would take seconds. Field numbers are those of
    tensorflow/core/framework/graph.proto, node_def.proto and function.proto.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kind = descriptor_pb2.FieldDescriptorProto
    messages: dict[str, Sequence[tuple[str, int, bool, str]]] = {
        "Node": (("name", 1, False, ""), ("op", 2, False, ""), ("input", 3, True, "")),
        "Function": (("node_def", 3, True, "Node"),),
        "Library": (("function", 1, True, "Function"),),
        "Graph": (("node", 1, True, "Node"), ("library", 2, False, "Library")),
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="lpot_examples_outline.proto", package="lpot_examples_outline", syntax="proto3"
    )
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, repeated, of in fields:
            message.field.add(
                name=field,
                number=number,
                label=kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL,
                type=kind.TYPE_MESSAGE if of else kind.TYPE_STRING,
                type_name=f".{file.package}.{of}" if of else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.Graph"))


def _names(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(one.name for one in values)
