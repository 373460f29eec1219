"""Reading, indexing and building ``GraphDef`` protocol buffers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError

Array = NDArray[Any]


def read_graph_def(path: Path) -> Any:
    """Read a frozen graph.

    Args:
        path: A binary ``.pb`` file.

    Returns:
        A ``GraphDef`` with at least one node.

    Raises:
        ModelError: If the file is missing, truncated, or is something else.
    """
    if path.is_dir():
        raise ModelError(f"{path} is a folder; a frozen graph (.pb file) is required.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read the model {path}: {error.strerror}. Give the path of a frozen .pb file."
        ) from error
    import_tensorflow()
    from google.protobuf.message import DecodeError
    from tensorflow.core.framework import graph_pb2

    graph_def = graph_pb2.GraphDef()
    try:
        graph_def.ParseFromString(content)
        intact = bool(graph_def.node) and all(node.op and node.name for node in graph_def.node)
    except DecodeError:
        intact = False
    if not intact:
        raise ModelError(
            f"{path} ({len(content):,} bytes) is not a whole frozen TensorFlow graph: it is "
            "truncated or of another format. Freeze the model again or repeat the download."
        )
    return graph_def


@lru_cache(maxsize=1 << 17)
def split_name(name: str) -> tuple[str, int]:
    """Split an input reference into node name and output port; a control input has port -1."""
    if name.startswith("^"):
        return name[1:], -1
    node, _, port = name.partition(":")
    return node, int(port or 0)


def tensor_name(node: str, port: int = 0) -> str:
    """Return how a node input refers to a tensor: ``node`` for port 0, else ``node:port``."""
    return node if port == 0 else f"{node}:{port}"


class Graph:
    """A mutable index over nodes: who makes a tensor, who reads it.

    The ``GraphDef`` given is copied, but for constants, which nothing changes in place: a model is
    never changed through this class, and its weights are not in memory twice.

    Args:
        graph_def: The frozen graph.
        inputs: Input node names.
        outputs: Output tensor names.
    """

    def __init__(self, graph_def: Any, *, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        import_tensorflow()
        from tensorflow.core.framework import graph_pb2

        copy = graph_pb2.GraphDef()
        copy.library.CopyFrom(graph_def.library)
        copy.versions.CopyFrom(graph_def.versions)
        copy.node.extend(node for node in graph_def.node if not _shareable(node))
        for node in copy.node:
            _complete(node)
        copies = iter(copy.node)
        nodes = [node if _shareable(node) else next(copies) for node in graph_def.node]
        self._library = copy.library
        self.functions = {function.signature.name: function for function in copy.library.function}
        self.versions = copy.versions
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.nodes: dict[str, Any] = {node.name: node for node in nodes}
        self._keep = copy
        self._values: dict[str, Array] = {}
        self._readers: dict[str, set[str]] = {name: set() for name in self.nodes}
        for node in nodes:
            for source in node.input:
                self._readers.setdefault(split_name(source)[0], set()).add(node.name)

    # Looking

    @property
    def output_nodes(self) -> set[str]:
        """Names of the nodes that make the outputs."""
        return {split_name(name)[0] for name in self.outputs}

    @property
    def library(self) -> Any:
        """The function library: a ``FunctionDefLibrary``."""
        return self._library

    def readers(self, name: str) -> list[Any]:
        """Return the nodes that read any output of a node, control inputs included, by name."""
        return [self.nodes[reader] for reader in sorted(self._readers.get(name, ()))]

    def only_reader(self, name: str) -> Any | None:
        """Return the one node that reads tensor ``name:0``, or None.

        None also where the node is a graph output, or has control or other-port readers, and where
        the reader is fed, as an input of the graph.
        """
        readers = self._readers.get(name, set())
        if len(readers) != 1 or name in self.output_nodes:
            return None
        reader = self.nodes[next(iter(readers))]
        if reader.name in self.inputs:
            return None
        uses = [source for source in reader.input if split_name(source)[0] == name]
        return reader if len(uses) == 1 and split_name(uses[0])[1] == 0 else None

    def data_inputs(self, node: Any) -> list[tuple[str, int]]:
        """Return (node, port) of every data input, in order."""
        return [split_name(source) for source in node.input if not source.startswith("^")]

    def constant(self, source: str) -> Array | None:
        """Return the value of a Const node (read once), or None for any other tensor.

        None also for a Const that is fed, as an input of the graph.
        """
        name, port = split_name(source)
        node = self.nodes.get(name)
        if node is None or node.op != "Const" or port != 0 or name in self.inputs:
            return None
        if name not in self._values:
            self._values[name] = _value(node.attr["value"].tensor)
        return self._values[name]

    def topological(self) -> list[str]:
        """Return node names so that each follows what it reads.

        Loops of TF1 control flow are broken at NextIteration.
        """
        back = {name for name, node in self.nodes.items() if node.op == "NextIteration"}
        waiting = {
            name: {split_name(source)[0] for source in node.input} - back
            for name, node in self.nodes.items()
        }
        ready = [name for name, sources in waiting.items() if not sources]
        done: list[str] = []
        remaining = {name: len(sources) for name, sources in waiting.items()}
        while ready:
            name = ready.pop()
            done.append(name)
            for reader in sorted(self._readers.get(name, ())):
                if name in waiting[reader]:
                    remaining[reader] -= 1
                    if remaining[reader] == 0:
                        ready.append(reader)
        return done

    # Changing

    def add(self, op: str, name: str, inputs: Iterable[str], **attrs: Any) -> str:
        """Add a node, or replace the one of that name, and return its name.

        Args:
            op: TensorFlow op type.
            name: Node name.
            inputs: References such as ``conv`` or ``split:1``.
            **attrs: Attributes; Python values and ``tf.DType`` are converted.
        """
        return self.insert(make_node(op, name, inputs, **attrs))

    def insert(self, node: Any) -> str:
        """Add a finished ``NodeDef``, or replace the one of its name, and return the name."""
        name: str = node.name
        self._forget_inputs(name)
        self.nodes[name] = node
        self._values.pop(name, None)
        self._readers.setdefault(name, set())
        for source in node.input:
            self._readers.setdefault(split_name(source)[0], set()).add(name)
        return name

    def adopt(self, node: Any) -> str:
        """Insert a ``NodeDef`` from elsewhere, such as a function's body, and return its name."""
        _complete(node)
        return self.insert(node)

    def free_name(self, name: str) -> str:
        """Return a name that no node has: the given one, if possible."""
        candidate, number = name, 0
        while candidate in self.nodes:
            number += 1
            candidate = f"{name}_{number}"
        return candidate

    def drop_inputs(self, node: str, sources: Iterable[str]) -> None:
        """Let a node no longer read these inputs."""
        dropped, target = set(sources), self.nodes[node]
        if not dropped:
            return
        kept = [name for name in target.input if name not in dropped]
        still = {split_name(name)[0] for name in kept}
        for name in dropped:
            if split_name(name)[0] not in still:
                self._readers[split_name(name)[0]].discard(node)
        del target.input[:]
        target.input.extend(kept)

    def keep_functions(self, names: Iterable[str]) -> None:
        """Drop all functions but these from the library, and gradients of the dropped ones."""
        library, kept = type(self._library)(), set(names)
        library.function.extend(f for name, f in self.functions.items() if name in kept)
        library.gradient.extend(
            gradient
            for gradient in self._library.gradient
            if {gradient.function_name, gradient.gradient_func} <= kept
        )
        self._library = library
        self.functions = {f.signature.name: f for f in library.function}

    def add_constant(self, name: str, value: Array, *, dtype: Any = None) -> str:
        """Add a Const node; ``dtype`` overrides the array's own (for quantized types)."""
        return self.insert(make_constant(name, value, dtype=dtype))

    def set_input(self, node: str, index: int, source: str) -> None:
        """Let a node read another tensor."""
        target = self.nodes[node]
        old = split_name(target.input[index])[0]
        target.input[index] = source
        self._readers.setdefault(split_name(source)[0], set()).add(node)
        if all(split_name(other)[0] != old for other in target.input):
            self._readers[old].discard(node)

    def add_control(self, node: str, source: Any) -> None:
        """Let a node wait for what another node waits for."""
        target = self.nodes[node]
        for name in source.input:
            if name.startswith("^") and name not in target.input:
                target.input.append(name)
                self._readers[name[1:]].add(node)

    def redirect(self, old: str, new: str) -> None:
        """Let every reader of tensor ``old`` read ``new`` instead; control edges follow."""
        old_node, old_port = split_name(old)
        new_node = split_name(new)[0]
        for reader in self.readers(old_node):
            for index, source in enumerate(reader.input):
                name, port = split_name(source)
                if name == old_node and port == old_port:
                    self.set_input(reader.name, index, new)
                elif name == old_node and port == -1:
                    self.set_input(reader.name, index, f"^{new_node}")

    def remove_unreachable(self) -> int:
        """Drop every node that neither feeds an output nor is an input; return how many."""
        live = self.ancestors([*self.outputs, *self.inputs])
        dead = [name for name in self.nodes if name not in live]
        for name in dead:
            self._forget_inputs(name)
            del self.nodes[name]
            self._values.pop(name, None)
        for name in dead:
            self._readers.pop(name, None)
        return len(dead)

    def to_graph_def(self, tensors: Iterable[str] | None = None) -> Any:
        """Return a new ``GraphDef`` of the nodes, with the original function library.

        Args:
            tensors: Leave out what is not needed to compute these; None keeps every node.
        """
        from tensorflow.core.framework import graph_pb2

        kept = self.nodes.keys() if tensors is None else self.ancestors(tensors)
        graph_def = graph_pb2.GraphDef()
        graph_def.library.CopyFrom(self._library)
        graph_def.versions.CopyFrom(self.versions)
        graph_def.node.extend(node for name, node in self.nodes.items() if name in kept)
        return graph_def

    def ancestors(self, tensors: Iterable[str]) -> set[str]:
        """Return the nodes that tensors are computed from, their own included."""
        found: set[str] = set()
        stack = [split_name(tensor)[0] for tensor in tensors]
        while stack:
            name = stack.pop()
            if name not in found:
                found.add(name)
                stack += [split_name(source)[0] for source in self.nodes[name].input]
        return found

    def fork(self) -> Graph:
        """Return an independent view that shares the (unchanged) node messages.

        Only nodes added later are new; `set_input` and `redirect` must not be used on shared
        nodes of a fork, so they copy a node before they change it.
        """
        other: Graph = object.__new__(_Fork)
        other.__dict__.update(self.__dict__)
        other.nodes = dict(self.nodes)
        other._readers = {name: set(readers) for name, readers in self._readers.items()}
        other._values = self._values.copy()
        return other

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self.nodes.values()))

    def _forget_inputs(self, name: str) -> None:
        node = self.nodes.get(name)
        if node is not None:
            for source in node.input:
                readers = self._readers.get(split_name(source)[0])
                if readers is not None:
                    readers.discard(name)


class _Fork(Graph):
    """A graph whose nodes are shared with another: copied before a change."""

    def set_input(self, node: str, index: int, source: str) -> None:
        from tensorflow.core.framework import node_def_pb2

        copy = node_def_pb2.NodeDef()
        copy.CopyFrom(self.nodes[node])
        self.nodes[node] = copy
        super().set_input(node, index, source)


def _shareable(node: Any) -> bool:
    """Tell whether a node is a constant with nothing that `_complete` would change."""
    return node.op == "Const" and not node.input and "_class" not in node.attr


def _value(tensor: Any) -> Array:
    """Return the value of a ``TensorProto``; read-only, and without the second copy of TF's."""
    tf = import_tensorflow()
    content = tensor.tensor_content
    if not content:
        return np.asarray(tf.make_ndarray(tensor))
    dtype = tf.as_dtype(tensor.dtype).as_numpy_dtype
    return np.frombuffer(content, dtype).reshape([dim.size for dim in tensor.tensor_shape.dim])


def _complete(node: Any) -> None:
    """Add the default attributes that old or stripped files leave out.

    Reading an absent attribute would add an empty one. Colocations mean nothing on one CPU, and
    would dangle where the other op is folded away.
    """
    from tensorflow.python.framework import op_def_registry

    node.attr.pop("_class", None)
    definition = op_def_registry.get(node.op)
    if definition is None:
        return
    for attr in definition.attr:
        if attr.HasField("default_value") and attr.name not in node.attr:
            node.attr[attr.name].CopyFrom(attr.default_value)


def make_node(op: str, name: str, inputs: Iterable[str], **attrs: Any) -> Any:
    """Build a ``NodeDef``; attributes may be Python values, ``tf.DType`` or lists of them."""
    from tensorflow.core.framework import node_def_pb2

    node = node_def_pb2.NodeDef(op=op, name=name, input=list(inputs))
    for key, value in attrs.items():
        _set_attr(node.attr[key], value)
    return node


def make_constant(name: str, value: Array, *, dtype: Any = None) -> Any:
    """Build a Const ``NodeDef``; a quantized ``dtype`` takes the raw bytes of the array."""
    tf = import_tensorflow()
    from tensorflow.core.framework import node_def_pb2

    array = np.ascontiguousarray(value).reshape(np.shape(value))
    node = node_def_pb2.NodeDef(op="Const", name=name)
    kind = tf.as_dtype(dtype) if dtype is not None else tf.as_dtype(array.dtype)
    node.attr["dtype"].type = kind.as_datatype_enum
    tensor = node.attr["value"].tensor
    tensor.dtype = kind.as_datatype_enum
    tensor.tensor_shape.SetInParent()
    for size in np.shape(value):
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = array.tobytes()
    return node


def _set_attr(attr: Any, value: Any) -> None:
    tf = import_tensorflow()
    if isinstance(value, (list, tuple)):
        attr.list.SetInParent()
        for item in value:
            if isinstance(item, tf.DType):
                attr.list.type.append(item.as_datatype_enum)
            elif isinstance(item, int):
                attr.list.i.append(item)
            else:
                attr.list.s.append(str(item).encode())
    elif isinstance(value, tf.DType):
        attr.type = value.as_datatype_enum
    elif isinstance(value, bool):
        attr.b = value
    elif isinstance(value, int):
        attr.i = value
    elif isinstance(value, float):
        attr.f = value
    else:
        attr.s = str(value).encode()
