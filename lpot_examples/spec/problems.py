"""From what validation refused to sentences with file, line and key."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from lpot_examples.errors import SpecError, nearest
from lpot_examples.spec import names
from lpot_examples.spec.document import MINIMUM, Document, KeyPath
from lpot_examples.spec.fields import REFUSED, show

PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a spec.

    Attributes:
        path: The key.
        line: Its line, None when it was not written in a file.
        message: A full sentence.
    """

    path: KeyPath
    line: int | None
    message: str


def dotted(path: KeyPath) -> str:
    """Return a key path as text: ``tuning.exit_policy``, ``quantization.op_wise['a/b']``."""
    text = ""
    for part in path:
        if isinstance(part, str) and PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text or "the spec"


def line_of(document: Document, path: KeyPath, *, value: bool = False) -> int | None:
    """Return the line of a key, or of the closest key above it that was written."""
    for end in range(len(path), 0, -1):
        lines = document.lines.get(path[:end])
        if lines is not None:
            return lines.value if value and end == len(path) else lines.key
    return None


def spec_error(error: ValidationError, document: Document, spec: type[BaseModel]) -> SpecError:
    """Return one error that lists every problem, one per line, in the order of the file."""
    problems = sorted(
        (_problem(detail, document, spec) for detail in error.errors(include_url=False)),
        key=lambda problem: problem.line or 0,
    )
    first, rest = problems[0], problems[1:]
    later = [str(SpecError(p.message, path=document.path, line=p.line)) for p in rest]
    message = "\n".join([first.message, *later])
    return SpecError(message, path=document.path, line=first.line)


def _problem(detail: Any, document: Document, spec: type[BaseModel]) -> Problem:
    context = detail.get("ctx", {})
    # Pydantic marks an error in a mapping's key, as opposed to its value, by a last part "[key]".
    where = tuple(part for part in detail["loc"] if part != "[key]")
    path: KeyPath = (*where, *context.get("at", ()))
    kind = detail["type"]
    if kind == "extra_forbidden":
        message, is_value = _unknown_key(path, spec), False
    elif kind == "missing":
        hint = MINIMUM if path == ("model",) else "Add it."
        message, is_value = f"{dotted(path)} is required. {hint}", False
    elif kind == REFUSED:
        message, is_value = f"{dotted(path)} {context['message']}", True
    else:
        message, is_value = f"{dotted(path)}: {detail['msg']}; got {show(detail['input'])}.", True
    if any(path[: len(key)] == key[: len(path)] for key in document.overridden):
        message += " It comes from an override, not from the file."
    return Problem(path, line_of(document, path, value=is_value), message)


def _unknown_key(path: KeyPath, spec: type[BaseModel]) -> str:
    job = names.OTHER_JOBS.get(path)
    if job is not None:
        return f"{dotted(path)} asks for {job}, which is not supported by this tool; remove it."
    name, valid = str(path[-1]), _keys_at(path[:-1], spec)
    elsewhere = [place for place in places(spec, ()) if place[-1] == name]
    hint = nearest(name, valid)
    if len(elsewhere) == 1:
        hint = f" It belongs at {dotted(elsewhere[0])}."
    hint = hint or f" Known here: {', '.join(valid)}."
    return f"{dotted(path)} is not a known key.{hint}"


def _keys_at(path: KeyPath, spec: type[BaseModel]) -> tuple[str, ...]:
    here: Any = spec
    for part in path:
        section = _section(here)
        here = _mapped(here) if section is None else section.model_fields[str(part)].annotation
    section = _section(here)
    return () if section is None else tuple(section.model_fields)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(a for each in get_args(annotation) for a in _alternatives(each))
    return (annotation,)


def _section(annotation: Any) -> type[BaseModel] | None:
    for each in _alternatives(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def _mapped(annotation: Any) -> Any:
    """Return the type of a mapping's values."""
    for each in _alternatives(annotation):
        origin = get_origin(each)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return get_args(each)[1]
    return None


def places(spec: type[BaseModel], above: KeyPath) -> Iterator[KeyPath]:
    """Yield the path of every key, except those below a mapping by op name."""
    for name, info in spec.model_fields.items():
        yield (*above, name)
        section = _section(info.annotation)
        if section is not None:
            yield from places(section, (*above, name))
