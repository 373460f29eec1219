"""A tuning configuration: one choice of precision and calibration for every group."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """An immutable choice from which a backend makes a model.

    Attributes:
        fp32: Names of the quantizable groups that stay fp32.
        activation_algorithm: How activation ranges are read from the statistics.
        activation_overrides: Group name to algorithm, where it differs.
        weight_algorithm: How weight scales are chosen: ``minmax`` or ``mse``.
        per_tensor: Names of the groups whose weights share one scale.
        weight_bits: Group name to weight bits, where the spec limits them below the ISA's choice.
        equalization: How far branches of a shared encoding are stretched to use it fully, 0 (not at
            all) to 1; see cross-layer equalization in the backends.
        bias_correction: Whether biases make up for what rounding the weights does to the mean.
        uncorrected: Names of the groups whose bias stays as it is all the same.
        samples: The calibration sampling size that the statistics come from; 0 means the largest.
    """

    fp32: frozenset[str] = frozenset()
    activation_algorithm: str = "minmax"
    activation_overrides: Mapping[str, str] = field(default_factory=dict)
    weight_algorithm: str = "minmax"
    per_tensor: frozenset[str] = frozenset()
    weight_bits: Mapping[str, int] = field(default_factory=dict)
    equalization: float = 0.0
    bias_correction: bool = False
    samples: int = 0
    uncorrected: frozenset[str] = frozenset()

    def algorithm(self, group: str | None) -> str:
        """Return the activation algorithm for a group's tensors."""
        if group is None:
            return self.activation_algorithm
        return self.activation_overrides.get(group, self.activation_algorithm)

    def corrects(self, group: str) -> bool:
        """Tell whether a group's bias is corrected."""
        return self.bias_correction and group not in self.uncorrected

    def with_fp32(self, names: Iterable[str]) -> TuningConfig:
        """Return the same choice with these groups in fp32 besides those that already are."""
        return replace(self, fp32=self.fp32 | frozenset(names))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form with a stable order."""
        # What is new appears where it is used, so that configurations of old journals are found.
        newer = {"uncorrected": sorted(self.uncorrected)} if self.uncorrected else {}
        return {
            "fp32": sorted(self.fp32),
            "activation_algorithm": self.activation_algorithm,
            "activation_overrides": dict(sorted(self.activation_overrides.items())),
            "weight_algorithm": self.weight_algorithm,
            "per_tensor": sorted(self.per_tensor),
            "weight_bits": dict(sorted(self.weight_bits.items())),
            "equalization": self.equalization,
            "bias_correction": self.bias_correction,
            "samples": self.samples,
            **newer,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TuningConfig:
        """Undo `to_dict`."""
        names = ("fp32", "per_tensor", "uncorrected")
        return cls(**{**data, **{name: frozenset(data.get(name, ())) for name in names}})

    def digest(self) -> str:
        """Return a short stable hash that identifies the choice."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
