"""Keys that are accepted so that LPOT's files load, and have no effect here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from lpot_examples.spec.document import KeyPath
from lpot_examples.spec.problems import dotted

WITHOUT_EFFECT: tuple[tuple[str, ...], ...] = (
    ("graph_optimization",),
    ("mixed_precision",),
    ("model_conversion",),
    ("quantization", "recipes", "fast_bias_correction"),
    ("quantization", "recipes", "weight_correction"),
    ("quantization", "advance", "bias_correction"),
    ("quantization", "calibration", "dataloader", "distributed"),
    ("evaluation", "accuracy", "dataloader", "distributed"),
    ("evaluation", "performance", "dataloader", "distributed"),
    ("evaluation", "accuracy", "configs", "kmp_affinity"),
    ("evaluation", "accuracy", "configs", "kmp_blocktime"),
    ("evaluation", "performance", "configs", "kmp_affinity"),
    ("evaluation", "performance", "configs", "kmp_blocktime"),
    ("tuning", "strategy", "sigopt_api_token"),
    ("tuning", "strategy", "sigopt_project_id"),
    ("tuning", "strategy", "accuracy_weight"),
    ("tuning", "strategy", "latency_weight"),
    ("tuning", "multi_objectives"),
    ("tuning", "tensorboard"),
    ("tuning", "diagnosis", "diagnosis_after_tuning"),
)
"""Each is worth a note when it differs from its default. Remove a row when its key works."""


def notes(spec: BaseModel) -> tuple[str, ...]:
    """Return one sentence for each key that the user set and this version does not act on."""
    return tuple(
        f"{dotted(path)} is accepted without effect in this version."
        for path in WITHOUT_EFFECT
        if _differs(spec, path)
    )


def _differs(spec: BaseModel, path: KeyPath) -> bool:
    *_, (section, name) = _walk(spec, path) or [(None, "")]
    if section is None:
        return False
    default = type(section).model_fields[name].default
    return bool(getattr(section, name) != default)


def _walk(spec: Any, path: Sequence[str | int]) -> list[tuple[Any, str]]:
    """Return (section, key) along the path, or an empty list when a section is absent."""
    return list(_steps(spec, path)) if _reaches(spec, path) else []


def _reaches(spec: Any, path: Sequence[str | int]) -> bool:
    return all(section is not None for section, _ in _steps(spec, path))


def _steps(spec: Any, path: Sequence[str | int]) -> Iterator[tuple[Any, str]]:
    for part in path:
        yield spec, str(part)
        spec = getattr(spec, str(part), None)
