"""Which signature of an exported network is meant, and which tensors its names stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lpot_examples.errors import ModelError

DEFAULT = "serving_default"
# Of TensorFlow's own, which users do not mean.
_OWN = frozenset({"__saved_model_init_op", "__saved_model_train_op"})


@dataclass(frozen=True)
class Signature:
    """Tensor names by what the signature calls them; empty where there is no signature."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


def choose_signature(
    definitions: Mapping[str, Any], inputs: Sequence[str], outputs: Sequence[str], *, source: str
) -> Signature:
    """Return the signature that is meant.

    That is the only one; else the only one that has all the names; else ``serving_default``.

    Args:
        definitions: ``SignatureDef`` by name.
        inputs: Names the user gave: those of the signature, or of tensors.
        outputs: Likewise.
        source: What to call the network in messages.

    Returns:
        An empty one if the network has none, or if the names are those of tensors of no signature.

    Raises:
        ModelError: If there are several and nothing tells which is meant.
    """
    known = {name: _tensors(item) for name, item in definitions.items() if name not in _OWN}
    fitting = [name for name, item in known.items() if _has(item, inputs, outputs)]
    chosen = pick(fitting or known)
    if chosen is not None:
        return known[chosen]
    if not known or (inputs and outputs):
        return Signature()
    names = ", ".join(sorted(known))
    raise ModelError(
        f"{source} has {len(known)} signatures ({names}), none of them '{DEFAULT}'; write into "
        "the yaml's model.outputs the outputs of the one that is meant."
    )


def pick(names: Iterable[str]) -> str | None:
    """Return the only name, or that of the default, or None."""
    listed = sorted(names)
    if len(listed) == 1:
        return listed[0]
    return DEFAULT if DEFAULT in listed else None


def named(tensors: Mapping[str, str], names: Sequence[str]) -> tuple[str, ...]:
    """Return tensors.

    Args:
        tensors: Tensor names by what a signature calls them.
        names: The user's choice, of either kind; all of the signature when empty, by name, because
            a SavedModel does not remember their order.
    """
    if not names:  # two names of one tensor are one
        return tuple(dict.fromkeys(tensors[name] for name in sorted(tensors, key=natural)))
    return tuple(tensors.get(name.strip(), name.strip()) for name in names)


def natural(name: str) -> list[tuple[int, str]]:
    """Return a sorting key by which ``output_10`` comes after ``output_9``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _tensors(definition: Any) -> Signature:
    return Signature(
        {name: info.name for name, info in definition.inputs.items() if info.name},
        {name: info.name for name, info in definition.outputs.items() if info.name},
    )


def _has(signature: Signature, inputs: Sequence[str], outputs: Sequence[str]) -> bool:
    return all(
        name in tensors or f"{name.removesuffix(':0')}:0" in tensors.values()
        for tensors, names in ((signature.inputs, inputs), (signature.outputs, outputs))
        for name in names
    )
