"""The search space: what the network allows, narrowed by the spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lpot_examples.graph import Group, OpGraph, TuningConfig
from lpot_examples.spec import Spec
from lpot_examples.spec.constraints import OpConstraint

ACTIVATION_ALGORITHMS = ("minmax", "percentile", "mse", "kl")
WEIGHT_ALGORITHMS = ("minmax", "mse")


@dataclass(frozen=True)
class SearchSpace:
    """What a strategy may choose.

    Attributes:
        free: Groups that may be int8 or fp32, in order of execution.
        required: Groups that the spec keeps in int8.
        base: The configuration with everything int8 that may be, before any choice.
        activation_algorithms: Range algorithms to choose from, in order of preference.
        weight_algorithms: Weight algorithms to choose from.
        sizes: Calibration sampling sizes to choose from, ascending.
        reasons: Group name to why the spec keeps it in fp32.
        repairs: Whether the engine has equalization and bias correction.
        algorithms: Group name to its activation algorithms to choose from, where the spec gives
            the group its own.
    """

    free: tuple[Group, ...]
    required: tuple[Group, ...]
    base: TuningConfig
    activation_algorithms: tuple[str, ...]
    weight_algorithms: tuple[str, ...]
    sizes: tuple[int, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    algorithms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repairs: bool = True

    @property
    def int8_groups(self) -> tuple[Group, ...]:
        """The groups that are int8 in the base configuration."""
        return (*self.required, *self.free)

    def algorithms_of(self, group: str) -> tuple[str, ...]:
        """Return the activation algorithms that a group may have, in order of preference."""
        return self.algorithms.get(group, self.activation_algorithms)


def build_space(graph: OpGraph, op_types: Mapping[str, str], spec: Spec) -> SearchSpace:
    """Intersect what the network allows with what the spec asks for.

    Args:
        graph: The network.
        op_types: Type by name of every op of the network as given.
        spec: The tuning spec.

    Raises:
        SpecError: If the spec names ops that the network does not have, excludes every
            precision of an op or int8 for all of them, or asks for what no int8 kernel offers.
    """
    _check_names(op_types, spec)
    free: list[Group] = []
    required: list[Group] = []
    reasons: dict[str, str] = {}
    algorithms_of: dict[str, tuple[str, ...]] = {}
    bits: dict[str, int] = {}
    per_tensor: set[str] = set()
    for group in graph.quantizable:
        constraints = [spec.constraints_for(op.name, op_type=op.type) for op in group.ops]
        own = spec.constraints_for(group.name, op_type=group.type)
        if not all(constraint.allows_int8 for constraint in constraints):
            reasons[group.name] = "the spec keeps it in fp32"
            continue
        (free if own.allows_fp32 else required).append(group)
        _read(own, spec, group.name, algorithms_of, bits, per_tensor)
    if not free and not required:
        raise spec.error(
            "the spec keeps every op of the model in fp32, so there is nothing to tune; let some "
            "be int8.",
            "quantization",
        )
    wide = spec.quantization.model_wise
    algorithms = wide.activation.algorithm or ACTIVATION_ALGORITHMS
    base = TuningConfig(
        fp32=frozenset(reasons),
        activation_algorithm=algorithms[0],
        weight_algorithm=(wide.weight.algorithm or WEIGHT_ALGORITHMS)[0],
        activation_overrides={name: own[0] for name, own in algorithms_of.items()},
        weight_bits=bits,
        per_tensor=frozenset(per_tensor),
    )
    return SearchSpace(
        free=tuple(free),
        required=tuple(required),
        base=base,
        activation_algorithms=tuple(algorithms),
        weight_algorithms=tuple(wide.weight.algorithm or WEIGHT_ALGORITHMS),
        sizes=tuple(sorted(set(spec.quantization.calibration.sampling_size))),
        reasons=reasons,
        algorithms=algorithms_of,
    )


def _read(
    own: OpConstraint,
    spec: Spec,
    name: str,
    algorithms: dict[str, tuple[str, ...]],
    bits: dict[str, int],
    per_tensor: set[str],
) -> None:
    """Take one group's own choices from its constraint."""
    wide = spec.quantization.model_wise
    if own.activation.algorithm and own.activation.algorithm != wide.activation.algorithm:
        algorithms[name] = own.activation.algorithm
    if own.weight.bit:
        bits[name] = max(int(bit) for bit in own.weight.bit)
    if own.weight.granularity and "per_channel" not in own.weight.granularity:
        per_tensor.add(name)
    where = ("quantization",)
    if own.weight.scheme and "sym" not in own.weight.scheme:
        raise spec.error(f"the int8 kernels take symmetric weights only (op '{name}').", *where)
    if own.activation.granularity and "per_tensor" not in own.activation.granularity:
        raise spec.error(
            f"the int8 kernels take per-tensor activations only (op '{name}').", *where
        )


def _check_names(op_types: Mapping[str, str], spec: Spec) -> None:
    unmatched = spec.unmatched(list(op_types), op_types=dict(op_types))
    if unmatched:
        first = unmatched[0]
        kind = "regular expression" if first.is_regex else "name"
        raise spec.error(
            f"no op of the model matches the {kind} '{first.key}'.{first.hint}", *first.path
        )
