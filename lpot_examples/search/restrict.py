"""A search space cut down to what another engine than this project's own can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lpot_examples.search.space import SearchSpace
from lpot_examples.spec import Spec


def restrict(
    space: SearchSpace,
    spec: Spec,
    *,
    engine: str,
    activation_algorithms: Sequence[str],
    weight_algorithms: Sequence[str],
) -> SearchSpace:
    """Return the part of a search space that an engine offers.

    Such an engine has no equalization, no bias correction and no choice of weight bits.

    Args:
        space: What this project's own engine offers.
        spec: The tuning spec. Of the algorithms that it lists, those that the engine has are used;
            where it lists none, the engine's first, which is its default.
        engine: Its name, for messages.
        activation_algorithms: Names of range algorithms in terms of the spec.
        weight_algorithms: Likewise for weights.

    Raises:
        SpecError: If the spec asks for what the engine does not have.
    """
    wide = spec.quantization.model_wise

    def choose(asked: Sequence[str], offered: Sequence[str], what: str) -> tuple[str, ...]:
        found = tuple(name for name in asked if name in offered)
        if found:
            return found
        raise spec.error(
            f"{what} cannot be chosen by {', '.join(asked)} with the engine {engine}, which has "
            f"{', '.join(offered)}. Name one of these, or use --engine=lpot.",
            "quantization",
        )

    for name in space.base.weight_bits:
        raise spec.error(
            f"the bits of weights (op '{name}') cannot be chosen with the engine {engine}. Leave "
            "them out, or use --engine=lpot.",
            "quantization",
        )
    activations = choose(
        wide.activation.algorithm or activation_algorithms[:1],
        activation_algorithms,
        "activation ranges",
    )
    weights = choose(
        wide.weight.algorithm or weight_algorithms[:1], weight_algorithms, "weight scales"
    )
    algorithms = {
        name: choose(asked, activation_algorithms, f"the activation range of '{name}'")
        for name, asked in space.algorithms.items()
    }
    base = replace(
        space.base,
        activation_algorithm=activations[0],
        activation_overrides={name: own[0] for name, own in algorithms.items()},
        weight_algorithm=weights[0],
    )
    return replace(
        space,
        base=base,
        activation_algorithms=activations,
        weight_algorithms=weights,
        algorithms=algorithms,
        repairs=False,
    )
