"""What the driver needs to choose this backend; see `backends.registry`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from lpot_examples.backends.base import Transfer
from lpot_examples.backends.tensorflow.backend import TensorFlowBackend
from lpot_examples.backends.tensorflow.constants import stored_weights
from lpot_examples.backends.tensorflow.formats import Format, detect_format
from lpot_examples.backends.tensorflow.formats import open_object as open_network
from lpot_examples.backends.tensorflow.formats.detect import checkpoint_files
from lpot_examples.backends.tensorflow.model import TensorFlowModel, load_model
from lpot_examples.calibration.collected import SAMPLE
from lpot_examples.host import InstructionSet

APPROACHES = ("post_training_static_quant",)

FORM = "pb"
TRANSFERS = ("onnx",)

CALIBRATION = str((SAMPLE, 2))
"""Changes with what a calibration pass collects."""

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
    "transfer",
]


def backend(network: TensorFlowModel, isa: InstructionSet, *, approach: str) -> TensorFlowBackend:
    """Return the backend of an opened network; there is one approach."""
    return TensorFlowBackend(network, isa)


def transfer(backend: TensorFlowBackend, isa: InstructionSet, form: str) -> Transfer:
    """Return the way to another form of a network.

    Raises:
        ModelError: If the network has none.
    """
    from lpot_examples.backends.onnx.conversion.transfer import OnnxTransfer

    assert form == "onnx", form
    return OnnxTransfer(backend, isa)


def content(network: TensorFlowModel) -> tuple[str, int]:
    """Return a hash of a network with its weights, and its size in bytes."""
    data = network.graph_def.SerializeToString(deterministic=True)
    return hashlib.sha256(data).hexdigest(), len(data)


def portable(network: TensorFlowModel) -> Any:
    """Return what another process can open a network from."""
    return network.graph_def


def runnable_file(model: Any, network: TensorFlowModel, path: Path) -> Path:
    """Return a frozen file of the fp32 model for the benchmark; written if there is none."""
    if isinstance(model, (str, Path)) and detect_format(model) is Format.FROZEN:
        return Path(model)
    return network.save(path)


def files(path: Path) -> tuple[Path, ...]:
    """Return the files that belong to a network, beside the path itself."""
    return tuple(checkpoint_files(path))
