"""The tuning spec: LPOT's yaml, read and validated before any framework is imported."""

from lpot_examples.spec.constraints import (
    ActivationConstraint,
    OpConstraint,
    TensorConstraint,
    WeightConstraint,
)
from lpot_examples.spec.loader import load_spec
from lpot_examples.spec.root import Spec, Unmatched

__all__ = [
    "ActivationConstraint",
    "OpConstraint",
    "Spec",
    "TensorConstraint",
    "Unmatched",
    "WeightConstraint",
    "load_spec",
]
