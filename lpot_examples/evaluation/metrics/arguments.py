"""Arguments of metrics and transforms: what a yaml gives, checked against what a class takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from lpot_examples.errors import LpotError, nearest


class ArgumentError(LpotError):
    """An argument that cannot be used.

    Args:
        problem: A predicate that completes the argument's name, such as ``must be 1; got 2.``
        path: The keys that lead to it, from the metric on; empty for the metric itself.
    """

    def __init__(self, problem: str, *path: str) -> None:
        super().__init__(f"{'.'.join(path)} {problem}".strip())
        self.problem = problem
        self.path = path

    def below(self, *keys: str) -> ArgumentError:
        """Return the same with keys in front of its path."""
        return ArgumentError(self.problem, *keys, *self.path)


def construct(made: Callable[..., Any], arguments: Any, name: str) -> Any:
    """Call a class with what a yaml gives it.

    Args:
        made: The class, or a function that returns an instance.
        arguments: A mapping of its arguments; a list or a single value is given by position.
        name: What it is called in the yaml.

    Raises:
        ArgumentError: If it does not take them; its path begins with ``name``.
    """
    if not isinstance(arguments, Mapping):
        given = list(arguments) if isinstance(arguments, (list, tuple)) else [arguments]
        arguments = _by_name(made, given, name)
    taken = _parameters(made)
    for key in arguments:
        if taken is not None and key not in taken:
            hint = nearest(str(key), taken)
            known = f"it takes {', '.join(taken)}" if taken else "it takes no arguments"
            raise ArgumentError(f"is not an argument of {name}; {known}.{hint}", name, str(key))
    try:
        return made(**arguments)
    except ArgumentError as error:
        raise error.below(name) from None


def _by_name(made: Callable[..., Any], values: list[Any], name: str) -> dict[str, Any]:
    taken = _parameters(made) or ()
    if len(values) > len(taken):
        raise ArgumentError(
            f"takes {len(taken)} argument{'' if len(taken) == 1 else 's'}; got {len(values)}.", name
        )
    return dict(zip(taken, values, strict=False))


def _parameters(made: Callable[..., Any]) -> tuple[str, ...] | None:
    """Return the names of a class's arguments; None if it takes any."""
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        return None
    variadic = inspect.Parameter.VAR_POSITIONAL
    return tuple(one.name for one in parameters if one.kind is not variadic)
