"""What the driver needs to choose this backend; see `backends.registry`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from lpot_examples.backends.onnx.backend import OnnxBackend
from lpot_examples.backends.onnx.model import OnnxModel, load_model
from lpot_examples.backends.onnx.proto import Array, to_array
from lpot_examples.backends.onnx.reading import check_model, read_model
from lpot_examples.calibration.collected import SAMPLE
from lpot_examples.host import InstructionSet

APPROACHES = ("post_training_static_quant", "post_training_dynamic_quant")

FORM = "onnx"
TRANSFERS = ()

CALIBRATION = f"onnx {SAMPLE} 2 {onnxruntime.__version__}"
"""Changes with what a calibration pass collects; ONNX Runtime's optimizer names some tensors."""

__all__ = [
    "APPROACHES",
    "CALIBRATION",
    "FORM",
    "TRANSFERS",
    "backend",
    "content",
    "files",
    "load_model",
    "open_network",
    "portable",
    "runnable_file",
    "stored_weights",
]


def open_network(
    model: Any, *, inputs: Sequence[str] = (), outputs: Sequence[str] = ()
) -> OnnxModel:
    """Return a path, a ``ModelProto`` or an `OnnxModel` as a checked model.

    Raises:
        ModelError: If it cannot be read or used, or lacks the names.
    """
    if isinstance(model, OnnxModel):
        whole = model.with_weights()
        check_model(whole.proto, whole.source)
        return whole
    if isinstance(model, (str, Path)):
        return load_model(model, inputs=inputs, outputs=outputs, weights=True)
    check_model(model, "the model")
    return OnnxModel(model, inputs=inputs, outputs=outputs)


def backend(network: OnnxModel, isa: InstructionSet, *, approach: str) -> OnnxBackend:
    """Return the backend of an opened network."""
    return OnnxBackend(network, isa, dynamic=approach == "post_training_dynamic_quant")


def content(network: OnnxModel) -> tuple[str, int]:
    """Return a hash of a network with its weights, and its size in bytes."""
    digest = hashlib.sha256()
    bare = type(network.proto)()
    bare.CopyFrom(network.proto)
    for one in bare.graph.initializer:
        digest.update(one.SerializeToString(deterministic=True))
    size = bare.ByteSize()
    del bare.graph.initializer[:]
    digest.update(bare.SerializeToString(deterministic=True))
    return digest.hexdigest(), size


def portable(network: OnnxModel) -> Any:
    """Return what another process can open a network from."""
    return network.proto


def runnable_file(model: Any, network: OnnxModel, path: Path) -> Path:
    """Return a file of the fp32 model for the benchmark; written if there is none."""
    return Path(model) if isinstance(model, (str, Path)) else network.save(path)


def files(path: Path) -> tuple[Path, ...]:
    """Return the files that belong to a network, beside the path itself."""
    if not path.is_file():
        return ()
    from onnx import external_data_helper

    named = {
        entry.value
        for one in external_data_helper._get_all_tensors(read_model(path, weights=False))
        if external_data_helper.uses_external_data(one)
        for entry in one.external_data
        if entry.key == "location"
    }
    return tuple(path.parent / name for name in sorted(named))


def stored_weights(path: Path) -> Iterator[tuple[str, Array]]:
    """Yield name and values of every weight with two dimensions or more.

    Raises:
        ModelError: If the file cannot be read.
    """
    for one in read_model(path).graph.initializer:
        if len(one.dims) > 1:
            array = to_array(one)
            if array.dtype in (np.float32, np.int8, np.uint8) and np.isfinite(array).all():
                yield one.name, array
