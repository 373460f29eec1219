"""Field types: how LPOT's shorthand forms become one normal form, and what is refused.

A validator refuses with a predicate such as ``must be an integer >= 1; got 'many'.``; the reader
of the errors puts the key in front of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from lpot_examples.errors import nearest
from lpot_examples.spec.frozen import FrozenMap, freeze

REFUSED = "refused"
"""The pydantic error type of our own messages."""


def refuse(message: str, *, at: tuple[str, ...] = ()) -> NoReturn:
    """Reject the value under validation with a predicate that completes the key's name.

    Args:
        message: The predicate.
        at: The key below the validated value that is to blame, when it is not the value itself.
    """
    raise PydanticCustomError(REFUSED, "{message}", {"message": message, "at": at})


def show(value: object) -> str:
    """Return the value as an error message prints it, shortened."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def remark(info: ValidationInfo, text: str) -> None:
    """Add a sentence to the notes of the spec being loaded."""
    if isinstance(info.context, list) and text not in info.context:
        info.context.append(text)


class Section(BaseModel):
    """A mapping with known keys. A key without a value counts as not written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, data: Any) -> Any:
        if data is None:
            return {}
        if isinstance(data, Mapping):
            return {k: v for k, v in data.items() if v is not None or k not in cls.model_fields}
        if isinstance(data, cls):
            return data
        return refuse(f"must be a mapping with keys such as {_some(cls)}; got {show(data)}.")


def _some(section: type[BaseModel]) -> str:
    return ", ".join(list(section.model_fields)[:3])


def items(value: object) -> list[Any]:
    """Split LPOT's list forms: a list, a scalar, or text separated by commas or spaces."""
    if isinstance(value, str):
        return [part.strip() for part in value.split("," if "," in value else None)]
    if isinstance(value, list | tuple):
        return list(value)
    return [value]


def to_text(value: object) -> str:
    """Accept non-empty text; numbers must be quoted, as in LPOT."""
    if isinstance(value, str) and value.strip():
        return value
    return refuse(f"must be text; got {show(value)}. Put numbers in quotes.")


def to_flag(value: object) -> bool:
    """Accept a boolean."""
    return (
        value if isinstance(value, bool) else refuse(f"must be true or false; got {show(value)}.")
    )


def to_float(value: object) -> float:
    """Accept a finite number, or text that spells one."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
    except (ValueError, OverflowError):
        refuse(f"must be a finite number; got {show(value)}.")
    return number


def to_fraction(value: object) -> float:
    """Accept a number, or a percentage such as ``'1%'``, which is 0.01."""
    if isinstance(value, str) and value.strip().endswith("%"):
        return to_float(value.strip()[:-1]) / 100
    return to_float(value)


def to_loss(value: object) -> float:
    """Accept a loss that is not negative, as a number or a percentage."""
    loss = to_fraction(value)
    if loss < 0:
        refuse(
            f"must not be negative; got {show(value)}. It is the largest loss that is accepted, "
            "such as 0.01."
        )
    return loss


def to_relative(value: object) -> float:
    """Accept a loss as a fraction of a score, in [0, 1)."""
    loss = to_loss(value)
    if loss >= 1:
        number = not isinstance(value, str) and loss < 100
        hint = f" For {loss:g} % write {loss / 100:g} or '{loss:g}%'." if number else ""
        refuse(
            f"must be below 1; got {show(value)}, which would accept the loss of the whole "
            f"baseline score.{hint}"
        )
    return loss


def whole(minimum: int, maximum: int | None = None, *, extra: Iterable[int] = ()) -> Any:
    """Return the validator of an integer in [minimum, maximum], or one of `extra`."""
    also = tuple(extra)
    wanted = f"must be an integer {_range(minimum, maximum)}"
    if also:
        wanted += " or " + ", ".join(map(str, also))

    def check(value: object) -> int:
        number = _integer(value)
        inside = number is not None and (
            number in also or (number >= minimum and (maximum is None or number <= maximum))
        )
        if number is None or not inside:
            return refuse(f"{wanted}; got {show(value)}.")
        return number

    return check


def _range(minimum: int, maximum: int | None) -> str:
    return f">= {minimum}" if maximum is None else f"from {minimum} to {maximum}"


def _integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, str):
            return int(value)
        if isinstance(value, int):
            return value
        return int(value) if isinstance(value, float) and value.is_integer() else None
    except ValueError:
        return None


def one_of(valid: Iterable[str]) -> Callable[[object], str]:
    """Return the validator of one name out of `valid`."""
    names = tuple(valid)

    def check(value: object) -> str:
        if isinstance(value, str) and value in names:
            return value
        return refuse(choose(value, names))

    return check


def choose(value: object, names: Iterable[str]) -> str:
    """Return the predicate that says which names are valid, with the nearest one."""
    names = tuple(names)
    hint = nearest(value, names) if isinstance(value, str) else ""
    return f"must be one of {', '.join(names)}; got {show(value)}.{hint}"


def many(check: Callable[[object], Any]) -> Callable[[object], tuple[Any, ...]]:
    """Return the validator of one or more values in any of LPOT's list forms, each once."""

    def each(value: object) -> tuple[Any, ...]:
        found = items(value)
        if not found:
            refuse("must name at least one value; got an empty list. Remove the key instead.")
        return tuple(dict.fromkeys(check(item) for item in found))

    return each


def names_in_order(value: object) -> tuple[str, ...]:
    """Accept tensor or op names in any of LPOT's list forms; an empty list is allowed."""
    found = tuple(to_text(item) for item in items(value))
    for name in found:
        if found.count(name) > 1:
            refuse(f"must name each tensor once; '{name}' is there {found.count(name)} times.")
    return found


def components(valid: Iterable[str], kind: str, *, single: bool = False) -> Any:
    """Return the validator of a mapping from known names to their arguments, in order.

    Args:
        valid: The known names.
        kind: What they are, for messages.
        single: Whether exactly one is required.
    """
    names = tuple(valid)

    def check(value: object) -> FrozenMap:
        if not isinstance(value, Mapping):
            refuse(f"must map each {kind}'s name to its arguments; got {show(value)}.")
        for name in value:
            if name not in names:
                hint = nearest(str(name), names) or f" Known: {', '.join(names)}."
                refuse(f"is not a known {kind}.{hint}", at=(str(name),))
        if single and len(value) != 1:
            refuse(f"must name exactly one {kind}; got {', '.join(value) or 'none'}.")
        return arguments({k: {} if v is None else v for k, v in value.items()})

    return check


def arguments(value: Mapping[str, Any]) -> FrozenMap:
    """Freeze arguments, refusing objects that a yaml file could not hold."""
    try:
        return freeze(value)  # type: ignore[no-any-return]
    except TypeError as error:
        return refuse(f"must hold text, numbers, lists and mappings only; got a {error}.")


Text = Annotated[str, BeforeValidator(to_text)]
Flag = Annotated[bool, BeforeValidator(to_flag)]
Number = Annotated[float, BeforeValidator(to_float)]
Positive = Annotated[int, BeforeValidator(whole(1))]
NotNegative = Annotated[int, BeforeValidator(whole(0))]
Iterations = Annotated[int, BeforeValidator(whole(1, extra=(-1,)))]
Names = Annotated[tuple[str, ...], BeforeValidator(names_in_order)]
