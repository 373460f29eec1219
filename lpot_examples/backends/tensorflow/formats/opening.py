"""Opening of a network, whatever its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lpot_examples.backends.tensorflow.formats.detect import Format, locate
from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.errors import ModelError


def open_model(
    path: str | Path,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    threads: int | None = None,
    fast_start: bool = False,
) -> TensorFlowModel:
    """Read a network and freeze it where it is not.

    Args:
        path: A frozen ``.pb``, a SavedModel folder, the folder or prefix of a checkpoint, or a
            ``.keras`` or ``.h5`` file.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.
        threads: Threads inside one op; None uses every core.
        fast_start: See `runtime.session_config`.

    Raises:
        ModelError: If there is no network that can be read, or more than one, or it lacks the
            names.
    """
    found = locate(Path(path))
    names = {"inputs": tuple(inputs), "outputs": tuple(outputs)}
    if found.format is Format.FROZEN:
        from lpot_examples.backends.tensorflow.formats.frozen import load_frozen

        return load_frozen(found.path, threads=threads, fast_start=fast_start, **names)
    network = _converted(found.format, found.path, **names)
    return TensorFlowModel(
        network.graph_def,
        inputs=network.input_names,
        outputs=network.output_names,
        threads=threads,
        fast_start=fast_start,
        source=str(path),
    )


def _converted(
    kind: Format, path: Path, *, inputs: Sequence[str], outputs: Sequence[str]
) -> TensorFlowModel:
    if kind is Format.CHECKPOINT:
        from lpot_examples.backends.tensorflow.formats.checkpoint import load_checkpoint

        return load_checkpoint(path, inputs=inputs, outputs=outputs)
    if kind is Format.SAVED_MODEL:
        from lpot_examples.backends.tensorflow.formats.saved_model import load_saved_model

        return load_saved_model(path, inputs=inputs, outputs=outputs)
    if kind is Format.ONNX:
        raise ModelError(
            f"{path} is an ONNX file, no network of TensorFlow. Give the path of that file itself "
            "to have it tuned as such."
        )
    from lpot_examples.backends.tensorflow.formats.keras_file import load_keras

    return load_keras(path, kind, inputs=inputs, outputs=outputs)


def open_object(
    model: Any, *, inputs: Sequence[str] = (), outputs: Sequence[str] = ()
) -> TensorFlowModel:
    """Return whatever a Python user calls a model as a frozen one.

    Args:
        model: A path, see `open_model`; a ``GraphDef``, a ``tf.Graph``, a Keras model, or a
            `TensorFlowModel`, which is returned as it is.
        inputs: Input names; found when empty.
        outputs: Output names; found when empty.

    Raises:
        ModelError: If it is none of these, or lacks the names.
    """
    if isinstance(model, TensorFlowModel):
        return model
    if isinstance(model, (str, Path)):
        return open_model(model, inputs=inputs, outputs=outputs)
    if type(model).__module__.partition(".")[0] != "tensorflow" and hasattr(model, "get_config"):
        from lpot_examples.backends.tensorflow.keras_export import freeze_keras

        frozen = freeze_keras(model)
        return TensorFlowModel(
            frozen.graph_def,
            inputs=inputs or frozen.input_names,
            outputs=outputs or frozen.output_names,
            source="the Keras model",
        )
    graph_def = model.as_graph_def() if hasattr(model, "as_graph_def") else model
    if not hasattr(graph_def, "node"):
        raise ModelError(
            "the model must be a path (of a frozen .pb file, say), a GraphDef, a tf.Graph or a "
            f"Keras model; got {type(model).__name__}."
        )
    return TensorFlowModel(graph_def, inputs=inputs, outputs=outputs)
