"""Which nodes do something besides computing their outputs, and which functions nodes call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def called_functions(node: Any) -> Iterator[str]:
    """Yield the names of the functions that a node's attributes refer to."""
    for attr in node.attr.values():
        functions = [attr.func] if attr.HasField("func") else list(attr.list.func)
        yield from (function.name for function in functions)


class Effects:
    """Tells which nodes have effects: state, messages, failures (Assert), unknown ops.

    A call or TF2 control flow has an effect if a node in its functions has one; TensorFlow marks
    many such nodes as stateful although freezing took the variables out of them.

    Args:
        functions: Function name to ``FunctionDef``.
    """

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self._functions = functions
        self._known: dict[str, bool] = {}

    def of(self, node: Any) -> bool:
        """Tell whether a node has an effect."""
        from tensorflow.python.framework import op_def_registry

        if node.op in self._functions:
            return self._inside(node.op)
        called = list(called_functions(node))
        if called:
            return any(self._inside(name) for name in called)
        definition = op_def_registry.get(node.op)
        return definition is None or bool(definition.is_stateful)

    def _inside(self, name: str) -> bool:
        if name not in self._functions:
            return True
        if name not in self._known:
            self._known[name] = False  # what a recursion answers; its other nodes decide
            self._known[name] = any(self.of(node) for node in self._functions[name].node_def)
        return self._known[name]
