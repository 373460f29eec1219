"""A frozen TensorFlow graph with named inputs and outputs, callable on a batch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lpot_examples.backends.feeding import Array, Feed, Runnable, Spec, by_name, mismatch
from lpot_examples.backends.tensorflow.graphdef import split_name
from lpot_examples.backends.tensorflow.runtime import import_tensorflow, session_config
from lpot_examples.errors import DataError, ModelError, OutputError, nearest

# Ops that take part in no computation a user could mean as an output.
_NOT_OUTPUTS = frozenset({"Const", "Placeholder", "NoOp", "Assert", "PlaceholderWithDefault"})


class TensorFlowModel(Runnable):
    """A frozen graph. ``model(batch)`` runs it; ``model.graph`` and ``model.graph_def`` give it.

    Args:
        graph_def: The frozen ``GraphDef``; not copied, and never changed here.
        inputs: Names of the input nodes; found (every Placeholder) when empty.
        outputs: Names of the output tensors; found (nodes nobody reads) when empty.
        threads: Threads inside one op; None uses every core.
        fast_start: See `runtime.session_config`.
        source: Where the graph came from, for messages.
        checked: Whether `check` has nothing left to do.

    Raises:
        ModelError: If the names do not fit the graph; the message lists the candidates.
    """

    def __init__(
        self,
        graph_def: Any,
        *,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        threads: int | None = None,
        fast_start: bool = False,
        source: str = "the model",
        checked: bool = False,
    ) -> None:
        self.graph_def = graph_def
        self.source = source
        self._config = (threads, fast_start)
        self._checked = checked
        ops = {node.name: node.op for node in graph_def.node}
        self.input_names = tuple(map(_plain, inputs)) or find_inputs(graph_def)
        self.output_names = tuple(map(_plain, outputs)) or find_outputs(graph_def)
        _check_names(self.input_names, "input", ops, find_inputs(graph_def), source)
        _check_names(self.output_names, "output", ops, find_outputs(graph_def), source)

    def check(self) -> None:
        """Refuse a graph that nobody can run; it is looked at once only.

        Raises:
            ModelError: See `validate.check_graph`.
        """
        if not self._checked:
            from lpot_examples.backends.tensorflow.validate import check_graph

            check_graph(self.graph_def, self.source)
            self._checked = True

    @cached_property
    def graph(self) -> Any:
        """The graph as a ``tf.Graph``."""
        tf = import_tensorflow()
        graph = tf.Graph()
        with graph.as_default():
            try:
                tf.import_graph_def(self.graph_def, name="")
            except (ValueError, TypeError, tf.errors.OpError) as error:
                raise ModelError(
                    f"TensorFlow {tf.__version__} cannot import {self.source}: "
                    f"{first_line(error)}. Freeze the model again with a version it accepts."
                ) from error
        return graph

    @cached_property
    def session(self) -> Any:
        """The session used by calls; made at the first one."""
        tf = import_tensorflow()
        threads, fast_start = self._config
        nchw = _has_nchw(self.graph_def)
        config = session_config(threads=threads, fast_start=fast_start, nchw=nchw)
        return tf.compat.v1.Session(graph=self.graph, config=config)

    def as_graph_def(self) -> Any:
        """Return the ``GraphDef``, as ``tf.Graph.as_graph_def`` does."""
        return self.graph_def

    def run(
        self, outputs: Sequence[str], feed: Feed, *, given: Mapping[str, Array] | None = None
    ) -> list[Array]:
        """Run the graph.

        Args:
            outputs: Tensor names; ``:0`` may be left out.
            feed: One array for a model of one input, or arrays by input name.
            given: Values of further tensors, which are then not computed.

        Returns:
            The arrays of the outputs, in order.

        Raises:
            DataError: If the arrays do not fit the model's inputs.
        """
        tf = import_tensorflow()
        fed = {**self._by_name(feed), **(given or {})}
        feed_dict = {_tensor(name): value for name, value in fed.items()}
        try:
            result: list[Array] = self.session.run([_tensor(name) for name in outputs], feed_dict)
        except (ValueError, TypeError) as error:
            raise DataError(self._feed_message(feed, error)) from error
        except tf.errors.InvalidArgumentError as error:
            raise DataError(self._feed_message(feed, error)) from error
        return result

    def save(self, path: str | Path) -> Path:
        """Write the frozen graph, whole or not at all.

        Args:
            path: The ``.pb`` file; replaced if it exists.

        Returns:
            The path written.

        Raises:
            OutputError: If it cannot be written.
        """
        target = Path(path)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(self.graph_def.SerializeToString(deterministic=True))
            temporary.replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise OutputError(
                f"cannot write the model to {target}: {error.strerror}. "
                "Choose a place that is writable and has room."
            ) from error
        return target

    def input_spec(self, name: str) -> Spec:
        """Return the shape (None for a free dimension or rank) and dtype of an input."""
        tensor = self.graph.get_tensor_by_name(_tensor(name))
        rank = tensor.shape.rank
        shape = None if rank is None else tuple(tensor.shape.as_list())
        return shape, np.dtype(tensor.dtype.as_numpy_dtype)

    def output_spec(self, name: str) -> Spec:
        """Return the same of an output."""
        return self.input_spec(name)

    def close(self) -> None:
        """Release the session's memory; a later call opens a new one."""
        if "session" in self.__dict__:
            self.session.close()
            del self.__dict__["session"]
        self.__dict__.pop("graph", None)

    def _by_name(self, feed: Feed) -> dict[str, Array]:
        if isinstance(feed, Mapping):
            feed = {_plain(name): value for name, value in feed.items()}
        return by_name(feed, self.input_names)

    def _feed_message(self, feed: Feed, error: Exception) -> str:
        specs = {name: self.input_spec(name) for name in self.input_names}
        return f"{mismatch(self._by_name(feed), specs)}. TensorFlow says: {first_line(error)}"


def load_model(
    path: str | Path,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    threads: int | None = None,
    fast_start: bool = False,
) -> TensorFlowModel:
    """Read a network of any format; see `formats.open_model`, which this is another name of."""
    from lpot_examples.backends.tensorflow.formats import open_model

    return open_model(path, inputs=inputs, outputs=outputs, threads=threads, fast_start=fast_start)


def find_inputs(graph_def: Any) -> tuple[str, ...]:
    """Return the names of the Placeholders, in the graph's order."""
    return tuple(node.name for node in graph_def.node if node.op == "Placeholder")


def find_outputs(graph_def: Any) -> tuple[str, ...]:
    """Return the names of the nodes that compute something nobody reads, in order."""
    read = {split_name(name)[0] for node in graph_def.node for name in node.input}
    return tuple(
        node.name
        for node in graph_def.node
        if node.name not in read and node.op not in _NOT_OUTPUTS
    )


def _check_names(
    names: Sequence[str], kind: str, ops: Mapping[str, str], found: Sequence[str], source: str
) -> None:
    missing = [name for name in names if name.split(":")[0] not in ops]
    if not missing and names:
        return
    candidates = ", ".join(found[:12]) or "none"
    what = f"{kind} '{missing[0]}'" if missing else f"an {kind}"
    hint = nearest(missing[0], ops) if missing else ""
    raise ModelError(f"{source} has no node for {what}.{hint} Candidates: {candidates}.")


def _has_nchw(graph_def: Any) -> bool:
    bodies = (function.node_def for function in graph_def.library.function)
    return any(
        "data_format" in node.attr and b"NCHW" in node.attr["data_format"].s
        for nodes in (graph_def.node, *bodies)
        for node in nodes
    )


def _plain(name: str) -> str:
    name = name.strip()
    return name[:-2] if name.endswith(":0") else name


def _tensor(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def first_line(error: Exception) -> str:
    """Return what an error of TensorFlow says, without where in its own code that was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(("Graph execution", "Detected at"))]
    return (useful or lines or [type(error).__name__])[0].rstrip(".")
