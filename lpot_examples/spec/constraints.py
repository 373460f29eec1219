"""What a spec allows an op to become, and how several constraints on one op combine."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ValidationInfo

from lpot_examples.spec import names
from lpot_examples.spec.fields import Section, items, many, one_of, remark, whole

LITERAL = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\-/]*")
"""A key that matches as a whole is an op's name; any other key is a regular expression."""

KL_WEIGHTS = (
    "weight.algorithm kl is read as minmax: thresholds from KL divergence suit activations only."
)


def _many_of(valid: Iterable[str]) -> BeforeValidator:
    return BeforeValidator(many(one_of(valid)))


def _weight_algorithms(value: object, info: ValidationInfo) -> tuple[str, ...]:
    found = many(one_of(names.WEIGHT_ALGORITHMS))(value)
    if "kl" in found:
        remark(info, KL_WEIGHTS)
    return tuple(dict.fromkeys("minmax" if name == "kl" else name for name in found))


def _bits(value: object) -> tuple[int, ...]:
    check: Callable[[object], int] = whole(1, 8)
    # Text such as '7.0' is a form LPOT accepts.
    found = [float(v) if isinstance(v, str) and _is_number(v) else v for v in items(value)]
    return many(check)(found)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d*)?", text) is not None


class TensorConstraint(Section):
    """What a tensor may become; None where the spec leaves it to the tool.

    Attributes:
        dtype: Allowed types, among int8, uint8, fp32 and bf16.
        granularity: One scale ``per_tensor`` or ``per_channel``.
        scheme: ``sym`` (zero point fixed) or ``asym``.
    """

    dtype: Annotated[tuple[str, ...] | None, _many_of(names.DTYPES)] = None
    granularity: Annotated[tuple[str, ...] | None, _many_of(names.GRANULARITIES)] = None
    scheme: Annotated[tuple[str, ...] | None, _many_of(names.SCHEMES)] = None

    @property
    def allows_quantized(self) -> bool:
        """Whether int8 or uint8 is among the allowed types."""
        return self.dtype is None or not names.QUANTIZED_DTYPES.isdisjoint(self.dtype)

    def allows(self, dtype: str) -> bool:
        """Whether the type is allowed."""
        return self.dtype is None or dtype in self.dtype


class ActivationConstraint(TensorConstraint):
    """What an op's inputs may become.

    Attributes:
        algorithm: How their range is found: minmax, kl, percentile or mse.
    """

    algorithm: Annotated[tuple[str, ...] | None, _many_of(names.ACTIVATION_ALGORITHMS)] = None


class WeightConstraint(TensorConstraint):
    """What an op's weights may become.

    Attributes:
        algorithm: How their range is found: minmax or mse.
        bit: Allowed widths in bits, each in [1, 8]; None lets the tool choose by instruction set.
    """

    algorithm: Annotated[tuple[str, ...] | None, BeforeValidator(_weight_algorithms)] = None
    bit: Annotated[tuple[int, ...] | None, BeforeValidator(_bits)] = None


class OpConstraint(Section):
    """What an op may become: both its activations and its weights."""

    activation: ActivationConstraint = ActivationConstraint()
    weight: WeightConstraint = WeightConstraint()

    @property
    def allows_int8(self) -> bool:
        """Whether the op may be quantized: neither side is limited to floating point."""
        return self.activation.allows_quantized and self.weight.allows_quantized

    @property
    def allows_fp32(self) -> bool:
        """Whether the op may stay fp32: both sides allow it, or int8 is not allowed anyway."""
        both = self.activation.allows("fp32") and self.weight.allows("fp32")
        return both or not self.allows_int8


def is_regex(key: str) -> bool:
    """Return whether an ``op_wise`` key is a regular expression, by LPOT's rule."""
    return LITERAL.fullmatch(key) is None


def matches(key: str, op_name: str) -> bool:
    """Return whether an ``op_wise`` key applies to an op.

    A name must be equal; a regular expression must match at the start of the op's name.
    """
    return _compiled(key).match(op_name) is not None if is_regex(key) else key == op_name


@functools.lru_cache(maxsize=1024)
def _compiled(key: str) -> re.Pattern[str]:
    return re.compile(key)


@dataclass(frozen=True)
class Layer:
    """A constraint and the key path under which the spec states it."""

    path: tuple[str, ...]
    constraint: OpConstraint


class EmptyIntersection(Exception):
    """Two layers allow nothing in common for one field.

    Attributes:
        first: Key path and values of the earlier statement.
        second: Key path and values of the later statement.
    """

    def __init__(self, first: Statement, second: Statement) -> None:
        super().__init__(first, second)
        self.first = first
        self.second = second


Values = tuple[Any, ...]
Statement = tuple[tuple[str, ...], Values]
S = TypeVar("S", bound=TensorConstraint)


def intersect(layers: Sequence[Layer]) -> OpConstraint:
    """Combine constraints: a value is allowed when every layer that speaks of it allows it.

    Args:
        layers: From the most general to the most specific, whose order of values is kept.

    Raises:
        EmptyIntersection: If nothing remains for a field.
    """
    return OpConstraint(
        activation=_combine(ActivationConstraint, "activation", layers),
        weight=_combine(WeightConstraint, "weight", layers),
    )


def _combine(kind: type[S], side: str, layers: Sequence[Layer]) -> S:
    combined = {}
    for name in kind.model_fields:
        statements: list[Statement] = []
        for layer in layers:
            values = getattr(getattr(layer.constraint, side), name)
            if values is not None:
                statements.append(((*layer.path, side, name), values))
        if statements:
            combined[name] = _common(statements)
    return kind(**combined)


def _common(statements: list[Statement]) -> Values:
    common = statements[0][1]
    for index, (path, values) in enumerate(statements[1:], start=1):
        remaining = tuple(value for value in values if value in common)
        if not remaining:
            earlier = statements[:index]
            disjoint = (s for s in earlier if not set(s[1]) & set(values))
            raise EmptyIntersection(next(disjoint, earlier[-1]), (path, values))
        common = remaining
    return common
