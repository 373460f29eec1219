"""Keys that are accepted so that LPOT's files load, and have no effect here."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

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
    ("tuning", "diagnosis", "diagnosis_after_tuning"),
)
"""Each is worth a note when it differs from its default. Remove a row when its key works."""


def notes(spec: BaseModel) -> tuple[str, ...]:
    """Return one sentence for each key that the user set and this version does not act on."""
    return tuple(
        f"{dotted(path)} is accepted without effect in this version."
        for path in WITHOUT_EFFECT
        if _differs(spec, path) and not _used(spec, path)
    )


def _used(spec: Any, path: tuple[str, ...]) -> bool:
    """Tell whether the strategy acts on a key that others do not."""
    return path[-1] in ("accuracy_weight", "latency_weight") and spec.tuning.strategy.name == "tpe"


def _differs(spec: BaseModel, path: tuple[str, ...]) -> bool:
    section: Any = spec
    for part in path[:-1]:
        section = getattr(section, part)
        if section is None:
            return False
    default = type(section).model_fields[path[-1]].default
    return bool(getattr(section, path[-1]) != default)
