"""Freezing of a trained Keras network to a graph that any TensorFlow runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lpot_examples.backends.tensorflow.graphdef import split_name
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
    graph_def = _reachable(frozen.graph.as_graph_def(), output_names)
    return TensorFlowModel(graph_def, inputs=(input_name,), outputs=output_names)


def _reachable(graph_def: Any, outputs: Sequence[str]) -> Any:
    """Return the nodes that the outputs need, each after what it reads.

    TensorFlow's own order changes from run to run; here the same network gives the same bytes.
    """
    from tensorflow.core.framework import graph_pb2

    nodes = {node.name: node for node in graph_def.node}
    result = graph_pb2.GraphDef(versions=graph_def.versions)
    done: set[str] = set()
    stack = list(reversed(outputs))
    while stack:
        node = nodes[stack[-1]]
        sources = (split_name(source)[0] for source in node.input)
        missing = [source for source in sources if source not in done]
        if missing:
            stack.extend(reversed(missing))
            continue
        if stack.pop() not in done:
            done.add(node.name)
            result.node.append(node)
    return result
