"""An immutable mapping, so that a validated spec cannot be changed by its users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

PLAIN = (str, int, float, bool, type(None))


class FrozenMap(dict[str, Any]):
    """A dict that refuses changes, is hashable, and keeps the order in which it was written.

    It stays a dict so that it serializes to JSON like one.
    """

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a spec is immutable; use load_spec(spec, overrides={...}) for a variant")

    __setitem__ = __delitem__ = _refuse
    __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> FrozenMap:
        return self

    def __deepcopy__(self, _memo: object) -> FrozenMap:
        return self

    def __reduce__(self) -> tuple[type[FrozenMap], tuple[dict[str, Any]]]:
        return FrozenMap, (dict(self),)


def freeze(value: object) -> Any:
    """Copy yaml-like data into immutable form: `FrozenMap`, tuple, and plain scalars.

    Raises:
        TypeError: If the data holds anything a yaml file cannot.
    """
    if isinstance(value, Mapping):
        return FrozenMap({str(key): freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    if isinstance(value, PLAIN):
        return value
    raise TypeError(type(value).__name__)


def thaw(value: object) -> Any:
    """Copy frozen or user data into plain dicts and lists; scalars and unknown objects stay."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [thaw(item) for item in value]
    return value
