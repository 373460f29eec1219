"""Refusal of graphs that are broken, before any time is spent on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from lpot_examples.backends.tensorflow.graphdef import split_name
from lpot_examples.backends.tensorflow.runtime import import_tensorflow
from lpot_examples.errors import ModelError

_VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp"})
# What TF1 loops come back through.
_BACK_EDGES = frozenset({"NextIteration", "RefNextIteration"})


def check_graph(graph_def: Any, source: str) -> None:
    """Refuse a graph that no one can run, or that is not frozen.

    Args:
        graph_def: A ``GraphDef``.
        source: Where it came from, for messages.

    Raises:
        ModelError: If node names are used twice, inputs are missing, ops are unknown to TensorFlow,
            variables have no values, or nodes wait for one another.
    """
    reads = {
        node.name: [split_name(reference)[0] for reference in node.input] for node in graph_def.node
    }
    _refuse_duplicates(graph_def, source)
    _refuse_missing_inputs(reads, source)
    _refuse_unknown_ops(graph_def, source)
    _refuse_variables(graph_def, source)
    back = {node.name for node in graph_def.node if node.op in _BACK_EDGES}
    _refuse_cycles({name: set(needed) - back for name, needed in reads.items()}, source)


def _refuse_duplicates(graph_def: Any, source: str) -> None:
    counts = Counter(node.name for node in graph_def.node)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ModelError(
            f"{source} is damaged: node names must differ, and {len(twice)} are used more than "
            f"once ({_some(twice)}). Freeze the model again."
        )


def _refuse_missing_inputs(reads: Mapping[str, list[str]], source: str) -> None:
    for name, needed in reads.items():
        for other in needed:
            if other not in reads:
                raise ModelError(
                    f"{source} is damaged: node '{name}' reads '{other}', which is not in the "
                    "graph. Freeze the model again, with every node that its outputs need."
                )


def _refuse_unknown_ops(graph_def: Any, source: str) -> None:
    from tensorflow.python.framework import op_def_registry

    functions = {function.signature.name for function in graph_def.library.function}
    known = {op for op in set(_ops(graph_def)) if op in functions or op_def_registry.get(op)}
    unknown = dict.fromkeys(op for op in _ops(graph_def) if op not in known)
    if unknown:
        example = next((node.name for node in graph_def.node if node.op in unknown), "")
        where = f", such as node '{example}'" if example else ", in function bodies"
        raise ModelError(
            f"{source} uses ops that TensorFlow {import_tensorflow().__version__} does not know: "
            f"{_some(unknown)}{where}. Load the library that defines them (tf.load_op_library) "
            "before tuning, or export the model without them."
        )


def _ops(graph_def: Any) -> Iterable[str]:
    yield from (node.op for node in graph_def.node)
    for function in graph_def.library.function:
        yield from (node.op for node in function.node_def)


def _refuse_variables(graph_def: Any, source: str) -> None:
    variables = [node.name for node in graph_def.node if node.op in _VARIABLES]
    if variables:
        raise ModelError(
            f"{source} is not frozen: {len(variables)} variables such as '{variables[0]}' have no "
            "values in it. Freeze the graph so that its weights become constants."
        )


def _refuse_cycles(sources: Mapping[str, set[str]], source: str) -> None:
    readers: dict[str, list[str]] = {}
    for name, needed in sources.items():
        for other in needed:
            readers.setdefault(other, []).append(name)
    waiting = {name: len(needed) for name, needed in sources.items()}
    ready = [name for name, count in waiting.items() if not count]
    while ready:
        name = ready.pop()
        del waiting[name]
        for reader in readers.get(name, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    if waiting:
        raise ModelError(
            f"{source} is damaged: nodes wait for one another, so none can run "
            f"({_some(_cycle(sources, waiting))}). Freeze the model again."
        )


def _cycle(sources: Mapping[str, set[str]], waiting: Iterable[str]) -> list[str]:
    """Return the nodes of one cycle among nodes that wait."""
    left = set(waiting)
    path = [min(left)]
    while (before := min(sources[path[-1]] & left)) not in path:
        path.append(before)
    return path[path.index(before) :][::-1]


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (", …" if len(listed) > 5 else "")
