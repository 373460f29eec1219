"""Freezing of a trained Keras network to a graph that any TensorFlow runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lpot_examples.backends.tensorflow.model import TensorFlowModel
from lpot_examples.backends.tensorflow.runtime import import_tensorflow


def freeze_keras(model: Any, *, input_name: str, output_names: Sequence[str]) -> TensorFlowModel:
    """Return a Keras model's inference graph: one placeholder, constants, no functions.

    Batch normalization stays as the separate arithmetic that Keras emits.

    Args:
        model: A built ``keras.Model`` with one float32 input and as many outputs as names.
        input_name: The placeholder's name; its batch dimension is free.
        output_names: The names of the Identity nodes that hold the outputs, in order.
    """
    tf = import_tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def infer(x: Any) -> list[Any]:
        outputs = tf.nest.flatten(model(x, training=False))
        pairs = zip(outputs, output_names, strict=True)
        return [tf.identity(output, name=name) for output, name in pairs]

    spec = tf.TensorSpec([None, *model.inputs[0].shape[1:]], tf.float32, name=input_name)
    frozen = convert_variables_to_constants_v2(tf.function(infer).get_concrete_function(spec))
    # Without the function's own return values and its now unused library.
    graph_def = tf.compat.v1.graph_util.extract_sub_graph(
        frozen.graph.as_graph_def(), list(output_names)
    )
    graph_def.ClearField("library")
    return TensorFlowModel(graph_def, inputs=(input_name,), outputs=output_names)
