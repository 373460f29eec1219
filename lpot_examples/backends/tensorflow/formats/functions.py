"""Freezing of TF2 functions: variables become constants, and calls become what they call."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lpot_examples.backends.tensorflow.formats.reorder import reachable, tidy_names
from lpot_examples.backends.tensorflow.formats.signature import natural
from lpot_examples.backends.tensorflow.model import TensorFlowModel, first_line
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError

_TABLES = ("LookupTable", "HashTable", "MutableHashTable", "MutableDenseHashTable")


def freeze_signature(
    folder: Path, name: str, *, inputs: Sequence[str], outputs: Sequence[str]
) -> TensorFlowModel:
    """Freeze a signature of a TF2 SavedModel.

    Its inputs and outputs become nodes of the names that the signature gives them.

    Args:
        folder: The SavedModel.
        name: The signature.
        inputs: Input names, in the order wanted; all when empty.
        outputs: Output names; all when empty.

    Raises:
        ModelError: If it cannot be loaded or frozen, or the names do not fit.
    """
    tf = import_tensorflow()
    source = str(folder)
    try:
        with _quiet():
            loaded = tf.saved_model.load(source)  # holds the variables of its functions
        function = loaded.signatures[name]
    except (tf.errors.OpError, OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"TensorFlow {tf.__version__} cannot load the SavedModel {source}: "
            f"{first_line(error)}. Copy the whole folder, or export it again."
        ) from error
    graph_def, fed, made = freeze_function(function, source=source)
    dtypes = [tensor.dtype.as_datatype_enum for tensor in function.outputs]
    # TensorFlow flattens a mapping by its sorted keys.
    takes = dict(zip(sorted(function.structured_input_signature[1]), fed, strict=True))
    names = sorted(function.structured_outputs)
    gives = _name_outputs(graph_def, list(zip(names, made, dtypes, strict=True)))
    graph_def = reachable(graph_def, list(gives.values()), list(takes.values()))
    tidy_names(graph_def, {*takes.values(), *gives.values()})
    return TensorFlowModel(
        graph_def,
        inputs=_chosen(takes, inputs),
        outputs=_chosen(gives, outputs),
        source=source,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what TensorFlow says about details that no frozen network has."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def freeze_function(function: Any, *, source: str) -> tuple[Any, list[str], list[str]]:
    """Freeze a concrete function.

    Args:
        function: A ``ConcreteFunction``.
        source: What to call the network in messages.

    Returns:
        The ``GraphDef``, its input nodes in the function's order, and its output tensors likewise.

    Raises:
        ModelError: If TensorFlow cannot freeze it.
    """
    tf = import_tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    try:
        # Loops and conditionals stay functions: as such the passes know them.
        frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    except (tf.errors.OpError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{source} cannot be frozen: {first_line(error)}. Freeze it with the version of "
            "TensorFlow that made it, and give the frozen .pb."
        ) from error
    graph_def = frozen.graph.as_graph_def()
    _refuse_tables(graph_def, source)
    inputs = [tensor.op.name for tensor in frozen.inputs]
    return graph_def, inputs, [tensor.name for tensor in frozen.outputs]


def _refuse_tables(graph_def: Any, source: str) -> None:
    bodies = (function.node_def for function in graph_def.library.function)
    for nodes in (graph_def.node, *bodies):
        for node in nodes:
            if node.op.startswith(_TABLES):
                raise ModelError(
                    f"{source} looks values up in a table (node '{node.name}', {node.op}), which "
                    "a frozen graph cannot hold. Export the network without it, and do the lookup "
                    "outside."
                )


def _name_outputs(graph_def: Any, outputs: list[tuple[str, str, int]]) -> dict[str, str]:
    """Add a node of each output's own name.

    Args:
        graph_def: Changed in place.
        outputs: Name, tensor and type of each.

    Returns:
        The nodes' names by those of the outputs; they differ where a name was taken.
    """
    taken = {node.name for node in graph_def.node}
    found = {}
    for name, tensor, dtype in outputs:
        free, number = name, 0
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free)
        node = graph_def.node.add(op="Identity", name=free, input=[tensor])
        node.attr["T"].type = dtype
        found[name] = free
    return found


def _chosen(known: Mapping[str, str], names: Sequence[str]) -> list[str]:
    if not names:
        return [known[name] for name in sorted(known, key=natural)]
    return [known.get(name.strip().removesuffix(":0"), name) for name in names]
