"""Networks in Keras's own files: .keras and .h5."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lpot_examples.backends.tensorflow.formats.detect import Format
from lpot_examples.backends.tensorflow.keras_export import freeze_keras
from lpot_examples.backends.tensorflow.model import TensorFlowModel, first_line
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError

_EXPORT = "Load it in your own code and export it with model.export(folder); give that SavedModel."
_UNKNOWN = re.compile(
    r"Unknown (?:layer|object|function|class)\w*: '?(?P<layer>[\w>]+)'?"
    r"|Could not (?:locate|deserialize) (?:class|function) '(?P<name>[\w>]+)'"
)


def load_keras(
    path: Path, kind: Format, *, inputs: Sequence[str] = (), outputs: Sequence[str] = ()
) -> TensorFlowModel:
    """Freeze a Keras model.

    Args:
        path: The file.
        kind: `Format.KERAS` or `Format.HDF5`.
        inputs: Names of its inputs, or of other tensors; found when empty.
        outputs: Likewise.

    Raises:
        ModelError: If it cannot be read, or holds weights or layers without their definition.
    """
    import_tensorflow()
    if kind is Format.KERAS:
        _check_archive(path)
    frozen = freeze_keras(_load(path), source=str(path))
    return TensorFlowModel(
        frozen.graph_def,
        inputs=inputs or frozen.input_names,
        outputs=outputs or frozen.output_names,
        source=str(path),
    )


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise ModelError(
            f"{path} ({path.stat().st_size:,} bytes) is not a whole .keras file: it is truncated "
            "or of another format. Save the model again or repeat the download."
        ) from error
    if "config.json" not in names:
        raise ModelError(
            f"{path} is an archive without config.json, so it is no .keras file. Accepted are what "
            "model.save('model.keras') writes, and SavedModel folders, unpacked."
        )


def _load(path: Path) -> Any:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"{path} needs Keras to run on TensorFlow; it is set to {keras.backend.backend()}. "
            "Set the environment variable KERAS_BACKEND=tensorflow."
        )
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # what a file of layers can raise is without bound
        raise ModelError(_explain(path, error)) from error


def _explain(path: Path, error: Exception) -> str:
    text = str(error)
    if "No model config found" in text:
        return (
            f"{path} holds weights only, without the layers they belong to. Build the model in "
            "your own code, load them with model.load_weights, and save it with "
            "model.save('model.keras')."
        )
    if isinstance(error, OSError):
        return (
            f"{path} ({path.stat().st_size:,} bytes) is not a whole Keras file: it is truncated or "
            "of another format. Save the model again or repeat the download."
        )
    if match := _UNKNOWN.search(text):
        layer = match["layer"] or match["name"]
        return f"{path} uses '{layer}', a layer or function that is not Keras's own. {_EXPORT}"
    if "safe_mode" in text:
        return f"{path} holds Python code (a Lambda layer), which is not run here. {_EXPORT}"
    return f"{path} cannot be loaded by Keras {_version()}: {first_line(error)}. {_EXPORT}"


def _version() -> str:
    import keras

    return str(keras.__version__)
