"""The validated spec."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, PrivateAttr

from lpot_examples.errors import SpecError, nearest
from lpot_examples.spec.constraints import (
    EmptyIntersection,
    Layer,
    OpConstraint,
    intersect,
    is_regex,
    matches,
)
from lpot_examples.spec.document import Document
from lpot_examples.spec.evaluation import Evaluation
from lpot_examples.spec.fields import Section, refuse, show, to_float
from lpot_examples.spec.problems import dotted, line_of
from lpot_examples.spec.sections import (
    FloatPrecision,
    GraphOptimization,
    Model,
    ModelConversion,
    Quantization,
    to_device,
)
from lpot_examples.spec.tuning import Tuning


def _version(value: object) -> float:
    number = to_float(value)
    if int(number) != 1:
        refuse(f"must be 1.0, the version of LPOT's format read here; got {show(value)}.")
    return number


@dataclass(frozen=True)
class Origin:
    """Where a spec came from; never part of comparing two specs."""

    document: Document = field(default_factory=lambda: Document({}), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Unmatched:
    """A key of ``op_wise`` or ``optype_wise`` that applies to no op of the model.

    Attributes:
        path: The key path, for `Spec.error`.
        key: The name or regular expression.
        is_regex: Whether the key is a regular expression.
        hint: `` Did you mean 'x'?`` with the nearest op name, or an empty string.
    """

    path: tuple[str, ...]
    key: str
    is_regex: bool
    hint: str


class Spec(Section):
    """An LPOT 1.x tuning spec: complete, valid and immutable.

    Build it with `load_spec` or `Spec.default`. Keys that were not written have their defaults.
    """

    model: Model
    version: Annotated[float, BeforeValidator(_version)] = 1.0
    device: Annotated[str, BeforeValidator(to_device)] = "cpu"
    quantization: Quantization = Quantization()
    tuning: Tuning = Tuning()
    evaluation: Evaluation = Evaluation()
    graph_optimization: GraphOptimization | None = None
    mixed_precision: FloatPrecision | None = None
    model_conversion: ModelConversion | None = None

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @classmethod
    def default(
        cls,
        *,
        name: str = "model",
        framework: str = "tensorflow",
        inputs: Iterable[str] = (),
        outputs: Iterable[str] = (),
    ) -> Spec:
        """Return the spec of a yaml that holds only ``model``.

        Raises:
            SpecError: If the framework is unknown or a name is not text.
        """
        from lpot_examples.spec.loader import load_spec

        model = {"name": name, "framework": framework}
        return load_spec({"model": {**model, "inputs": [*inputs], "outputs": [*outputs]}})

    @property
    def source(self) -> Path | None:
        """The yaml file, None for a spec built in Python."""
        return self._origin.document.path

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about keys that are accepted without effect."""
        return self._origin.notes

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data that `load_spec` reads back into an equal spec.

        The SigOpt token, a secret, is left out.
        """
        data = self.model_dump(mode="json", exclude_none=True)
        if self.tuning.multi_objectives is not None:
            del data["tuning"]["objective"]
        return data

    def fingerprint(self) -> str:
        """Return a SHA-256 in hex of everything that can change a search's results.

        Left out: names and places, when the search ends (so a journal can be continued with a
        larger ``max_trials``), and the benchmark's settings.
        """
        data = self.to_dict()
        model, tuning = dict(data["model"]), dict(data["tuning"])
        del model["name"]
        for key in ("workspace", "tensorboard", "diagnosis"):
            del tuning[key]
        strategy = self.tuning.strategy
        tuning["strategy"] = strategy.name
        if strategy.name == "tpe":
            tuning["weights"] = [strategy.accuracy_weight, strategy.latency_weight]
        tuning["exit_policy"] = {"performance_only": self.tuning.exit_policy.performance_only}
        accuracy = dict(data["evaluation"].get("accuracy", {}))
        accuracy.pop("configs", None)
        content = {
            "model": model,
            "quantization": data["quantization"],
            "tuning": tuning,
            "accuracy": accuracy,
        }
        text = json.dumps(_ordered(content), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def constraints_for(self, op_name: str, *, op_type: str | None = None) -> OpConstraint:
        """Return what the spec allows an op to become.

        ``model_wise``, the op type's entry and every ``op_wise`` entry that matches are
        intersected.

        Raises:
            SpecError: If they have nothing in common, naming both places.
        """
        quantization = self.quantization
        layers = [_layer(quantization.model_wise, "model_wise")]
        if op_type is not None and op_type in quantization.optype_wise:
            layers.append(_layer(quantization.optype_wise[op_type], "optype_wise", op_type))
        layers += [
            _layer(constraint, "op_wise", key)
            for key, constraint in quantization.op_wise.items()
            if matches(key, op_name)
        ]
        return self._intersect(layers)

    def check_constraints(self) -> None:
        """Raise if a constraint contradicts ``model_wise``, or a named op's other constraints.

        Contradictions between two regular expressions show only once the op names are known, in
        `constraints_for`.

        Raises:
            SpecError: For the first contradiction.
        """
        quantization = self.quantization
        general = _layer(quantization.model_wise, "model_wise")
        for key, constraint in quantization.optype_wise.items():
            self._intersect([general, _layer(constraint, "optype_wise", key)])
        for key, constraint in quantization.op_wise.items():
            if is_regex(key):
                self._intersect([general, _layer(constraint, "op_wise", key)])
            else:
                self.constraints_for(key)

    def unmatched(
        self, op_names: Iterable[str], *, op_types: Iterable[str] | None = None
    ) -> tuple[Unmatched, ...]:
        """Return the keys of ``op_wise`` and ``optype_wise`` that apply to no op.

        Args:
            op_names: Every op of the model that a key may name.
            op_types: The types of those ops; None leaves ``optype_wise`` unchecked.
        """
        known = tuple(op_names)
        found = [
            _unmatched("op_wise", key, known)
            for key in self.quantization.op_wise
            if not any(matches(key, name) for name in known)
        ]
        if op_types is not None:
            types = tuple(dict.fromkeys(op_types))
            wanted = self.quantization.optype_wise
            found += [_unmatched("optype_wise", key, types) for key in wanted if key not in types]
        return tuple(found)

    def error(self, message: str, *path: str | int) -> SpecError:
        """Return an error located at a key of this spec, for the caller to raise.

        Args:
            message: What was required, what came and what to do.
            path: The key path, such as ``"model", "inputs"``; its line is found.
        """
        document = self._origin.document
        return SpecError(message, path=document.path, line=line_of(document, path))

    def _intersect(self, layers: list[Layer]) -> OpConstraint:
        try:
            return intersect(layers)
        except EmptyIntersection as conflict:
            (earlier, allowed), (later, wanted) = conflict.first, conflict.second
        line = line_of(self._origin.document, earlier)
        where = f" (line {line})" if line else ""
        raise self.error(
            f"{dotted(later)} allows {_listed(wanted)}, but {dotted(earlier)}{where} allows "
            f"{_listed(allowed)}: nothing satisfies both. Let them share a value.",
            *later,
        )


def _layer(constraint: OpConstraint, *path: str) -> Layer:
    return Layer(("quantization", *path), constraint)


def _listed(values: tuple[object, ...]) -> str:
    return " or ".join(map(str, values))


def _unmatched(section: str, key: str, known: tuple[str, ...]) -> Unmatched:
    regex = section == "op_wise" and is_regex(key)
    return Unmatched(("quantization", section, key), key, regex, nearest(key, known))


def _ordered(value: Any) -> Any:
    """Make the order of transforms part of the content; no other order matters."""
    if isinstance(value, Mapping):
        return {
            key: list(item.items())
            if key == "transform" and isinstance(item, Mapping)
            else _ordered(item)
            for key, item in value.items()
        }
    return value
