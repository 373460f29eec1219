"""``tf.train.Example`` as a dictionary, by its published message definition.

The definition is
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/feature.proto; it is
built here with protobuf, because the generated classes load TensorFlow's runtime with them.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.errors import DataError

Feature = list[bytes] | NDArray[np.float32] | NDArray[np.int64]
"""The values of one feature, in the order they have in the record."""

_LARGE = 1 << 12  # bytes

_NUMBERS = {"float_list": np.float32, "int64_list": np.int64}


def parse_example(data: bytes, *, place: str = "The record") -> dict[str, Any]:
    """Read one serialized ``tf.train.Example``.

    Args:
        data: The record's bytes.
        place: What the bytes are, for the error message, such as ``val.record: record 3``.

    Returns:
        For each feature, by ascending name, a list of bytes, a float32 array [n] or an int64
        array [n]. A feature without a type is an empty list.

    Raises:
        DataError: If the bytes are not a ``tf.train.Example``.
    """
    from google.protobuf.message import DecodeError

    try:
        features = _message_class("Example").FromString(data).features.feature
    except DecodeError:
        raise DataError(
            f"{place} must be a serialized tf.train.Example of {len(data)} bytes; it cannot be "
            "parsed. Give records that hold tf.train.Example messages."
        ) from None
    return {name: _values(features[name]) for name in sorted(features)}


def make_example(features: Mapping[str, Any]) -> bytes:
    """Serialize features; equal features give equal bytes, whatever their order.

    Args:
        features: For each name a value or a sequence of values: bytes or text (stored as UTF-8),
            whole numbers (int64) or numbers (float32). The type of an empty sequence is that of
            the NumPy array or `array.array` it is; an empty list counts as bytes.

    Raises:
        DataError: If a value has another type, or a sequence mixes types.
    """
    return b"".join(example_parts(features))


def example_parts(features: Mapping[str, Any]) -> list[bytes]:
    """Serialize features into pieces that belong one after the other; see `make_example`.

    A large byte string, such as an image, is a piece itself, so that it is never copied.
    """
    pieces: list[bytes] = []
    small = _message_class("Features")()
    for name, value in sorted(features.items()):
        if isinstance(value, bytes) and len(value) >= _LARGE:
            # Messages of one kind can be put one after the other: their maps are united.
            pieces += [small.SerializeToString(deterministic=True), _head(name, value), value]
            small = _message_class("Features")()
            continue
        kind, values = _typed(name, value)
        target = getattr(small.feature[name], kind)
        target.SetInParent()  # an empty list keeps its type
        target.value.extend(values)
    pieces.append(small.SerializeToString(deterministic=True))
    return [_tagged(1, sum(map(len, pieces))), *pieces]


def _head(name: str, value: bytes) -> bytes:
    """Return what stands before a byte string: its entry of the map, feature and list."""
    key = name.encode()
    key = _tagged(1, len(key)) + key
    head = b""
    for number in (1, 1, 2):  # the value of a list, the list of a feature, the value of an entry
        head = _tagged(number, len(head) + len(value)) + head
    return _tagged(1, len(key) + len(head) + len(value)) + key + head


def _tagged(number: int, length: int) -> bytes:
    """Return the tag of a field that has a length, and the length."""
    result = bytearray([number << 3 | 2])
    while length > 127:
        result.append(length & 127 | 128)
        length >>= 7
    result.append(length)
    return bytes(result)


def _values(feature: Any) -> Feature:
    kind = feature.WhichOneof("kind")
    if kind is None:
        return []
    values = getattr(feature, kind).value
    if kind == "bytes_list":
        return list(values)
    return np.fromiter(values, dtype=_NUMBERS[kind], count=len(values))


def _typed(name: str, value: Any) -> tuple[str, Sequence[Any]]:
    """Return the field of the message for a value, and the value as a sequence."""
    if isinstance(value, (bytes, str)):
        return "bytes_list", (_bytes(value),)
    if isinstance(value, array):
        return ("float_list" if value.typecode in "fd" else "int64_list"), value
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return ("float_list" if value.dtype.kind == "f" else "int64_list"), value.ravel().tolist()
    values = [value] if isinstance(value, (bool, int, float, np.generic)) else list(value)
    if all(isinstance(item, (bytes, str)) for item in values):
        texts: list[Any] = values
        return "bytes_list", [_bytes(item) for item in texts]
    if all(isinstance(item, (int, np.integer, np.bool_)) for item in values):
        return "int64_list", [int(item) for item in values]
    if all(isinstance(item, (int, float, np.integer, np.floating)) for item in values):
        return "float_list", [float(item) for item in values]
    types = sorted({type(item).__name__ for item in values})
    raise DataError(
        f"The feature '{name}' must be bytes, text, whole numbers or numbers, all of one type; "
        f"it holds {', '.join(types)}."
    )


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


@cache
def _message_class(name: str) -> Any:
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"tensorflow.{name}"))


@cache
def _pool() -> Any:
    """Build the messages in a pool of their own: TensorFlow registers the same names."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(
        name="lpot_examples/example.proto", package="tensorflow", syntax="proto3"
    )
    _lists(file)
    _add_message(
        file,
        "Feature",
        [
            _field("bytes_list", 1, message="BytesList"),
            _field("float_list", 2, message="FloatList"),
            _field("int64_list", 3, message="Int64List"),
        ],
        oneof="kind",
    )
    features = _add_message(
        file, "Features", [_field("feature", 1, message="Features.FeatureEntry", repeated=True)]
    )
    entry = features.nested_type.add(name="FeatureEntry")
    entry.field.append(_field("key", 1, type_name="STRING"))
    entry.field.append(_field("value", 2, message="Feature"))
    entry.options.map_entry = True
    _add_message(file, "Example", [_field("features", 1, message="Features")])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _lists(file: Any) -> None:
    for name, type_name in (("Bytes", "BYTES"), ("Float", "FLOAT"), ("Int64", "INT64")):
        value = _field("value", 1, type_name=type_name, repeated=True)
        if type_name != "BYTES":
            value.options.packed = True
        _add_message(file, f"{name}List", [value])


def _add_message(file: Any, name: str, fields: list[Any], *, oneof: str = "") -> Any:
    message = file.message_type.add(name=name)
    if oneof:
        message.oneof_decl.add(name=oneof)
        for field in fields:
            field.oneof_index = 0
    message.field.extend(fields)
    return message


def _field(
    name: str, number: int, *, type_name: str = "MESSAGE", message: str = "", repeated: bool = False
) -> Any:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto

    label = "LABEL_REPEATED" if repeated else "LABEL_OPTIONAL"
    field = FieldDescriptorProto(
        name=name,
        number=number,
        label=getattr(FieldDescriptorProto, label),
        type=getattr(FieldDescriptorProto, f"TYPE_{type_name}"),
    )
    if message:
        field.type_name = f".tensorflow.{message}"
    return field
