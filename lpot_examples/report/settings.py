"""What two trials do differently beside the groups they keep in fp32, in a few words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from lpot_examples.report.document import Config

# Names of groups that are given; of more only the number is.
_NAMED = 2


def settings(configs: Sequence[Config]) -> tuple[list[str], str]:
    """Return what configurations do differently, and what all of them do.

    The algorithms of activations and weights, and the groups in fp32, are left to columns of
    their own.

    Args:
        configs: Of the trials, in order.

    Returns:
        For each configuration the settings that differ among them, such as ``equalization 0.5,
        biases corrected``; and those that are the same, for all at once.
    """
    differing = [name for name in _WORDS if len({_key(config, name) for config in configs}) > 1]
    each = [_said(config, differing) for config in configs]
    same = [name for name in _WORDS if name not in differing]
    return each, _said(configs[0], same) if configs else ""


def _said(config: Config, names: Sequence[str]) -> str:
    return ", ".join(filter(None, (_WORDS[name](config) for name in names)))


def _key(config: Config, name: str) -> str:
    """Return something that is equal for equal settings."""
    value = getattr(config, name)
    if isinstance(value, Mapping):
        value = sorted(value.items())
    return repr(sorted(value) if isinstance(value, tuple) else value)


def _equalization(config: Config) -> str:
    return f"equalization {config.equalization:g}" if config.equalization else "not equalized"


def _bias_correction(config: Config) -> str:
    return "biases corrected" if config.bias_correction else "biases as given"


def _samples(config: Config) -> str:
    return f"{config.samples} samples" if config.samples else ""


def _overrides(config: Config) -> str:
    own = config.activation_overrides
    if len(own) > _NAMED:
        return f"own ranges of {len(own)} groups"
    return ", ".join(f"{name}: {algorithm}" for name, algorithm in sorted(own.items()))


def _per_tensor(config: Config) -> str:
    return _of(config.per_tensor, "one weight scale")


def _weight_bits(config: Config) -> str:
    bits = sorted(set(config.weight_bits.values()))
    return _of(config.weight_bits, f"weights of {', '.join(map(str, bits))} bits") if bits else ""


def _uncorrected(config: Config) -> str:
    return _of(config.uncorrected, "bias as given") if config.bias_correction else ""


def _of(groups: Collection[str], what: str) -> str:
    """Return in words that something holds for these groups; empty for none."""
    if not groups:
        return ""
    named = ", ".join(sorted(groups)) if len(groups) <= _NAMED else f"{len(groups)} groups"
    return f"{what}: {named}"


_WORDS: Mapping[str, Callable[[Config], str]] = {
    "equalization": _equalization,
    "bias_correction": _bias_correction,
    "samples": _samples,
    "activation_overrides": _overrides,
    "per_tensor": _per_tensor,
    "weight_bits": _weight_bits,
    "uncorrected": _uncorrected,
}
