"""Freezing of a trained Keras network to a graph that any TensorFlow runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lpot_examples.backends.tensorflow.formats.functions import freeze_function
from lpot_examples.backends.tensorflow.formats.reorder import reachable, tidy_names
from lpot_examples.backends.tensorflow.model import TensorFlowModel, first_line
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError


def freeze_keras(
    model: Any,
    *,
    input_name: str | Sequence[str] = (),
    output_names: Sequence[str] = (),
    source: str = "the Keras model",
) -> TensorFlowModel:
    """Return a Keras model's inference graph: placeholders, constants, no calls.

    Batch normalization stays as the separate arithmetic that Keras emits.

    Args:
        model: A built ``keras.Model`` of inputs and outputs that Keras knows.
        input_name: The placeholder's name, or those of several; by default the layers' names, or
            the keys where the model takes a mapping. Batch dimensions are free.
        output_names: The names of the Identity nodes that hold the outputs, in order; by default
            likewise.
        source: What to call the network in messages.

    Raises:
        ModelError: If the model cannot be frozen.
    """
    tf = import_tensorflow()
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise ModelError(
            f"{source} is a model in Python whose inputs Keras does not know. Export it with "
            "model.export(folder) and give that SavedModel."
        )
    takes, gives = model.input, model.output
    given = [input_name] if isinstance(input_name, str) else list(input_name)
    inputs = given or _names(tf, takes, taken=())
    outputs = list(output_names) or _names(tf, gives, taken=inputs)
    specs = [
        tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name=name)
        for name, tensor in zip(inputs, tf.nest.flatten(takes), strict=True)
    ]

    def infer(*tensors: Any) -> list[Any]:
        results = tf.nest.flatten(model(tf.nest.pack_sequence_as(takes, tensors), training=False))
        pairs = zip(results, outputs, strict=True)
        return [tf.identity(result, name=name) for result, name in pairs]

    try:
        function = tf.function(infer).get_concrete_function(*specs)
    except (tf.errors.OpError, ValueError, TypeError, LookupError, RuntimeError) as error:
        raise ModelError(
            f"{source} cannot be run on its own inputs: {_reason(error)}. Save the model again, "
            "or export it with model.export(folder) and give that SavedModel."
        ) from error
    graph_def, fed, _ = freeze_function(function, source=source)
    graph_def = reachable(graph_def, outputs, fed)
    tidy_names(graph_def, {*fed, *outputs})
    return TensorFlowModel(graph_def, inputs=fed, outputs=outputs, source=source)


def _reason(error: Exception) -> str:
    """Return what is wrong, out of a text that shows the code around it."""
    found = re.search(r"^\s*(?:\w+\.)*\w+(?:Error|Exception): (.+)$", str(error), re.MULTILINE)
    return found[1].rstrip(".") if found else first_line(error)


def _names(tf: Any, structure: Any, *, taken: Sequence[str]) -> list[str]:
    """Return a name for each tensor of a structure: its key in a mapping, or its layer's name."""
    if isinstance(structure, dict) and not any(map(tf.nest.is_nested, structure.values())):
        wanted = sorted(structure)
    else:
        tensors = tf.nest.flatten(structure)
        wanted = [tensor._keras_history.operation.name for tensor in tensors]
    found: list[str] = []
    for name in wanted:
        free, number = name, 0
        while free in (*taken, *found):
            number += 1
            free = f"{name}_{number}"
        found.append(free)
    return found
