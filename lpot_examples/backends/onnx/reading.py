"""Reading and checking of ``.onnx`` files: what cannot be used is one clear sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import checker, external_data_helper

from lpot_examples.backends.onnx.proto import STANDARD, opset, subgraphs
from lpot_examples.errors import ModelError, nearest

# Domains whose ops ONNX Runtime itself brings.
_RUNTIME_DOMAINS = frozenset({"ai.onnx.ml", "com.microsoft", "ai.onnx.training", "com.ms.internal"})

# The first byte of nearly every ONNX file: the field of the version of its format.
_IR_VERSION = b"\x08"


def read_model(path: Path, *, weights: bool = True) -> Any:
    """Read a model.

    Args:
        path: The ``.onnx`` file; weights may lie in other files, which it names.
        weights: Whether to read weights that lie in other files.

    Raises:
        ModelError: If there is no such file, it is not a whole ONNX file, or one it names is
            missing.
    """
    try:
        start = _start(path)
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ModelError(
            f"cannot read the model {path}: {error.strerror}.{nearest(path.name, beside)} Give an "
            ".onnx file."
        ) from error
    except DecodeError as error:
        raise ModelError(_undecodable(path, start)) from error
    if not model.ir_version or not model.graph.node:
        raise ModelError(_undecodable(path, b"") if start else f"{path} is empty.")
    _check_external(model, path)
    if weights:
        try:
            external_data_helper.load_external_data_for_model(model, str(path.parent))
        except (OSError, ValueError, checker.ValidationError) as error:
            raise ModelError(
                f"the weights of {path} cannot be read: {_first_line(error)}. Copy the network "
                "again with all of its files."
            ) from error
    return model


def check_model(model: Any, source: str) -> None:
    """Refuse a model that nobody can run.

    Args:
        model: With its weights in memory.
        source: Where it came from, for messages.

    Raises:
        ModelError: If it asks for ops that are not known, or is inconsistent.
    """
    _check_opset(model, source)
    _check_ops(model, source)
    if model.ByteSize() >= checker.MAXIMUM_PROTOBUF:
        return  # the checker takes files only then; ONNX Runtime checks as well
    try:
        checker.check_model(model)
    except checker.ValidationError as error:
        raise ModelError(
            f"{source} is not a valid ONNX network: {_first_line(error)}. Export it again."
        ) from error


def _undecodable(path: Path, start: bytes) -> str:
    if start == _IR_VERSION:
        return (
            f"{path} is damaged or was cut off: it ends or breaks within the network. Copy it "
            "again."
        )
    return f"{path} is not an ONNX file. Give an .onnx file that holds a network."


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1)


def _check_external(model: Any, path: Path) -> None:
    for one in external_data_helper._get_all_tensors(model):
        if not external_data_helper.uses_external_data(one):
            continue
        place = {entry.key: entry.value for entry in one.external_data}
        file = path.parent / place.get("location", "")
        if not file.is_file():
            raise ModelError(
                f"{path} keeps weights ('{one.name}') in {file.name}, which is not beside it; put "
                f"the file into {path.parent}."
            )
        end = int(place.get("offset", 0)) + int(place.get("length", 0))
        if file.stat().st_size < end:
            raise ModelError(
                f"{file}, which holds weights of {path}, is cut off: it has {file.stat().st_size} "
                f"bytes and at least {end} are needed. Copy it again."
            )


def _check_opset(model: Any, source: str) -> None:
    known, own = onnx.defs.onnx_opset_version(), {one.domain for one in model.functions}
    if opset(model) > known:
        raise ModelError(
            f"{source} uses opset {opset(model)} of ONNX; this version reads up to {known}. Export "
            f"it with opset {known} or lower."
        )
    for one in model.opset_import:
        if one.domain not in {*STANDARD, *_RUNTIME_DOMAINS, *own} and _uses(model, one.domain):
            raise ModelError(
                f"{source} uses ops of the domain '{one.domain}', which ONNX Runtime does not "
                "have; only ops of ONNX and of ONNX Runtime can be run."
            )


def _uses(model: Any, domain: str) -> bool:
    return any(node.domain == domain for node in _nodes(model))


def _nodes(model: Any) -> Any:
    for node in model.graph.node:
        yield node
        for graph in subgraphs(node):
            yield from graph.node


def _check_ops(model: Any, source: str) -> None:
    own = {(one.domain, one.name) for one in model.functions}
    version = opset(model)
    for node in _nodes(model):
        if (node.domain, node.op_type) in own or node.domain in _RUNTIME_DOMAINS:
            continue
        if node.domain not in STANDARD or not onnx.defs.has(node.op_type, version or 1, ""):
            raise ModelError(
                f"{source} has the op {node.op_type} (node '{node.name or node.output[0]}'), which "
                f"is not one of ONNX's in opset {version}; custom ops cannot be run here."
            )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".")
