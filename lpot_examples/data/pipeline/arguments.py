"""The arguments of datasets, transforms and filters: their types, and errors that name the key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ValidationError
from pydantic.fields import FieldInfo

from lpot_examples.errors import SpecError, nearest
from lpot_examples.spec.fields import (
    REFUSED,
    Flag,
    NotNegative,
    Number,
    Positive,
    Section,
    Text,
    items,
    one_of,
    refuse,
    show,
    to_float,
    whole,
)
from lpot_examples.spec.frozen import thaw

__all__ = ["Flag", "NotNegative", "Number", "Positive", "Text"]

DTYPES = ("float32", "float16", "uint8", "int8", "int32", "int64", "bool")
"""Types that made-up data may have."""
INTERPOLATIONS = ("bilinear", "nearest", "bicubic")


class Arguments(Section):
    """What stands below a name in ``dataset``, ``transform`` or ``filter``; immutable."""

    @classmethod
    def read(cls, values: object, *, where: str) -> Self:
        """Validate arguments.

        Args:
            values: A mapping of names to values; None or an empty mapping for none.
            where: The key they stand under, such as ``dataloader.transform.Resize``.

        Raises:
            SpecError: With the key of each argument that is unknown, missing or unusable, what it
                must be and what came.
        """
        try:
            return cls.model_validate(thaw(values))
        except ValidationError as error:
            lines = [cls._sentence(one, where) for one in error.errors(include_url=False)]
            raise SpecError("\n".join(lines)) from None

    @classmethod
    def _sentence(cls, error: Any, where: str) -> str:
        context = error.get("ctx", {})
        path = ".".join([where, *map(str, error["loc"]), *map(str, context.get("at", ()))])
        fields = cls.model_fields
        if error["type"] == "extra_forbidden":
            name = str(error["loc"][-1])
            hint = nearest(name, fields) or f" It takes {', '.join(fields) or 'none'}."
            return f"{path} is not an argument of {where.rpartition('.')[2]}.{hint}"
        if error["type"] == "missing":
            return f"{path} is required{_example(fields[str(error['loc'][-1])])}."
        if error["type"] == REFUSED:
            return f"{path} {context['message']}"
        return f"{path}: {error['msg']}; got {show(error['input'])}."


def _example(field: FieldInfo) -> str:
    return f", such as {field.examples[0]}" if field.examples else ""


def to_size(value: object) -> tuple[int, int]:
    """Accept the height and width of an image: one number for both, ``[n]`` or ``[h, w]``."""
    side = whole(1)
    found = items(value)
    if len(found) not in (1, 2):
        refuse(f"must be height and width in pixels, such as 224 or [224, 320]; got {show(value)}.")
    sides = [side(one) for one in found]
    return sides[0], sides[-1]


def to_floats(value: object) -> tuple[float, ...]:
    """Accept one number or several, in any of LPOT's list forms."""
    return tuple(to_float(one) for one in items(value))


def to_range(value: object) -> tuple[float, float]:
    """Accept two positive numbers, the smaller first."""
    found = to_floats(value)
    if len(found) != 2 or not 0 < found[0] <= found[1]:
        refuse(f"must be two positive numbers, the smaller first; got {show(value)}.")
    return found[0], found[1]


def to_shape(value: object) -> tuple[int, ...]:
    """Accept a shape; every side is at least 1."""
    side = whole(1)
    return tuple(side(one) for one in items(value))


def to_shapes(value: object) -> tuple[tuple[int, ...], ...]:
    """Accept one shape, or a list of shapes for several tensors."""
    if isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple):
        return tuple(to_shape(one) for one in value)
    shape = to_shape(value)
    return (shape,) if shape else refuse(f"must be a shape, such as [8, 224]; got {show(value)}.")


def to_dtypes(value: object) -> tuple[str, ...]:
    """Accept one dtype or several."""
    check = one_of(DTYPES)
    return tuple(check(one) for one in items(value))


def to_location(value: object) -> str:
    """Accept a path, as text or as an object that stands for one."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or not value.strip():
        refuse(f"must be a path; got {show(value)}.")
    return value


def positive(value: object) -> float:
    """Accept a number above 0."""
    number = to_float(value)
    return number if number > 0 else refuse(f"must be above 0; got {show(value)}.")


def fraction(value: object) -> float:
    """Accept a number in [0, 1]."""
    number = to_float(value)
    return number if 0 <= number <= 1 else refuse(f"must be from 0 to 1; got {show(value)}.")


Size = Annotated[tuple[int, int], BeforeValidator(to_size)]
Floats = Annotated[tuple[float, ...], BeforeValidator(to_floats)]
Range = Annotated[tuple[float, float], BeforeValidator(to_range)]
Shapes = Annotated[tuple[tuple[int, ...], ...], BeforeValidator(to_shapes)]
Dtypes = Annotated[tuple[str, ...], BeforeValidator(to_dtypes)]
Location = Annotated[str, BeforeValidator(to_location)]
AboveZero = Annotated[float, BeforeValidator(positive)]
Fraction = Annotated[float, BeforeValidator(fraction)]
Interpolation = Annotated[str, BeforeValidator(one_of(INTERPOLATIONS))]


def named(value: object, arguments: type[Arguments]) -> Mapping[str, Any]:
    """Return arguments of a call, given by position and name, by name.

    Args:
        value: A pair of the positional arguments and those by name.
        arguments: What is called; its fields are in the order of LPOT's signature.

    Raises:
        SpecError: If there are more arguments than fields, or one is given twice.
    """
    given, by_name = value if isinstance(value, tuple) else ((), {})
    fields = tuple(arguments.model_fields)
    name = arguments.__name__
    if len(given) > len(fields):
        raise SpecError(f"{name} takes {len(fields)} arguments; {len(given)} were given.")
    found = dict(zip(fields, given, strict=False))
    for key in by_name:
        if key in found:
            raise SpecError(f"{name} takes {key} once; it was given by position and by name.")
    return {**found, **by_name}
