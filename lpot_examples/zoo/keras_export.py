"""Freezing of a trained Keras network to a GraphDef that any TensorFlow can run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lpot_examples.errors import OutputError


def freeze(model: Any, *, input_name: str, output_names: Sequence[str]) -> Any:
    """Return the inference GraphDef of a Keras model: one placeholder, constants, no functions.

    Batch normalization stays as the separate arithmetic that Keras emits.

    Args:
        model: A built ``keras.Model`` with one float32 input and as many outputs as names.
        input_name: The placeholder's name; its batch dimension is dynamic.
        output_names: The names of the Identity nodes that hold the outputs, in order.

    Returns:
        ``tf.compat.v1.GraphDef``.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def infer(x: Any) -> list[Any]:
        outputs = tf.nest.flatten(model(x, training=False))
        pairs = zip(outputs, output_names, strict=True)
        return [tf.identity(output, name=name) for output, name in pairs]

    spec = tf.TensorSpec([None, *model.inputs[0].shape[1:]], tf.float32, name=input_name)
    frozen = convert_variables_to_constants_v2(tf.function(infer).get_concrete_function(spec))
    graph_def = tf.compat.v1.graph_util.extract_sub_graph(
        frozen.graph.as_graph_def(), list(output_names)
    )
    graph_def.ClearField("library")
    return graph_def


def write_graph(graph_def: Any, path: Path) -> None:
    """Write a GraphDef, replacing the file in one step.

    Args:
        graph_def: ``tf.compat.v1.GraphDef``.
        path: The ``.pb`` file; its folder is created.

    Raises:
        OutputError: If the file cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(graph_def.SerializeToString(deterministic=True))
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"The network must be written to {path}, which failed: {error}") from None
