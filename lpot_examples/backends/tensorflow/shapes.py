"""Static shapes of a graph's tensors, from TensorFlow's own shape inference."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cached_property
from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph, make_node, split_name
from lpot_examples.backends.tensorflow.kernels import COMPUTE
from lpot_examples.backends.tensorflow.runtime import import_tensorflow

Shape = tuple[int | None, ...]

# TensorFlow's inference looks at the values of small constants only: sizes, axes, paddings.
_LARGE = 1 << 10
_LOOPS = frozenset({"Enter", "RefEnter"})


class Shapes:
    """Shapes by tensor name; None stands for an unknown dimension or rank.

    Importing a graph of thousands of nodes takes seconds, and weights are copied several times on
    the way. So shapes are inferred on a graph without weights, and without the post-processing of
    detectors unless someone asks for a shape there.

    Args:
        graph: The `Graph` or ``GraphDef`` whose shapes to infer; later changes do not count.
    """

    def __init__(self, graph: Any) -> None:
        from tensorflow.core.framework import graph_pb2

        self._light = graph_pb2.GraphDef()
        self._light.versions.CopyFrom(graph.versions)
        self._light.library.CopyFrom(graph.library)
        nodes = graph if isinstance(graph, Graph) else graph.node
        self._light.node.extend(map(_light, nodes))
        self._nodes = {node.name: node for node in self._light.node}

    def of(self, tensor: str) -> Shape | None:
        """Return the shape of ``node`` or ``node:port``, or None if its rank is unknown."""
        name, port = split_name(tensor)
        graph = self._trunk if name in self._trunk_names else self._whole
        shape = graph.get_tensor_by_name(f"{name}:{port}").shape
        return None if shape.rank is None else tuple(shape.as_list())

    @cached_property
    def _trunk_names(self) -> set[str]:
        """Names of what int8 kernels read or make, up to loops, and of all behind it."""
        readers = defaultdict(list)
        for node in self._nodes.values():
            for source in node.input:
                readers[split_name(source)[0]].append(node.name)
        ahead = {name for name, node in self._nodes.items() if node.op in COMPUTE}
        stack = list(ahead)
        while stack:
            for reader in readers[stack.pop()]:
                if reader not in ahead and self._nodes[reader].op not in _LOOPS:
                    ahead.add(reader)
                    stack.append(reader)
        names: set[str] = set()
        stack = list(ahead)
        while stack:
            name = stack.pop()
            if name not in names:
                names.add(name)
                stack += [split_name(source)[0] for source in self._nodes[name].input]
        return names

    @cached_property
    def _trunk(self) -> Any:
        return self._infer(self._trunk_names)

    @cached_property
    def _whole(self) -> Any:
        return self._infer(set(self._nodes))

    def _infer(self, names: set[str]) -> Any:
        tf = import_tensorflow()
        part = type(self._light)()
        part.versions.CopyFrom(self._light.versions)
        part.library.CopyFrom(self._light.library)
        part.node.extend(node for name, node in self._nodes.items() if name in names)
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(part, name="")
        return graph


def _light(node: Any) -> Any:
    """Return a node, or a Placeholder of its type and shape that takes less to import."""
    if node.op == "Const" and not node.input:
        shape = node.attr["value"].tensor.tensor_shape
        if math.prod(dim.size for dim in shape.dim) <= _LARGE:
            return node
        light = make_node("Placeholder", node.name, [])
        light.attr["dtype"].CopyFrom(node.attr["dtype"])
        light.attr["shape"].shape.CopyFrom(shape)
        return light
    # TensorFlow's inference forgets what the attribute says about the elements' shape.
    if node.op == "TensorArrayGatherV3" and not node.attr["element_shape"].shape.unknown_rank:
        light = make_node("Placeholder", node.name, [])
        light.attr["dtype"].CopyFrom(node.attr["dtype"])
        light.attr["shape"].shape.dim.add(size=-1)
        light.attr["shape"].shape.dim.extend(node.attr["element_shape"].shape.dim)
        return light
    return node
