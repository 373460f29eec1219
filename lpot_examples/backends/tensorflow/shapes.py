"""Static shapes of a graph's tensors, from TensorFlow's own shape inference."""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.runtime import import_tensorflow

Shape = tuple[int | None, ...]


class Shapes:
    """Shapes by tensor name; None stands for an unknown dimension or rank.

    Args:
        graph_def: The graph whose shapes to infer.
    """

    def __init__(self, graph_def: Any) -> None:
        tf = import_tensorflow()
        self._graph = tf.Graph()
        with self._graph.as_default():
            tf.import_graph_def(graph_def, name="")

    def of(self, tensor: str) -> Shape | None:
        """Return the shape of ``node`` or ``node:port``, or None if its rank is unknown."""
        name = tensor if ":" in tensor else f"{tensor}:0"
        shape = self._graph.get_tensor_by_name(name).shape
        return None if shape.rank is None else tuple(shape.as_list())
