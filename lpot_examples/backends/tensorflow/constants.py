"""The weights that a model's file holds, for whoever wants to look at them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lpot_examples.backends.tensorflow.graphdef import Array, read_graph_def
from lpot_examples.backends.tensorflow.runtime import import_tensorflow

# What weights are of, and how NumPy names it; other types are of shapes, axes and indices.
_DTYPES = {"float32": "float32", "int8": "int8", "qint8": "int8", "quint8": "uint8"}


def stored_weights(path: Path) -> Iterator[tuple[str, Array]]:
    """Yield name and values of every constant with two dimensions or more.

    Args:
        path: A binary ``.pb`` file.

    Raises:
        ModelError: If it cannot be read.
    """
    tf = import_tensorflow()
    for node in read_graph_def(path).node:
        if node.op != "Const" or len(node.attr["value"].tensor.tensor_shape.dim) < 2:
            continue
        dtype = _DTYPES.get(tf.as_dtype(node.attr["value"].tensor.dtype).name)
        if dtype is None:
            continue
        array = tf.make_ndarray(node.attr["value"].tensor).view(dtype)
        if array.size and np.isfinite(array).all():
            yield node.name, array
