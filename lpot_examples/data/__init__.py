"""Datasets, image transforms and batch loaders shared by the topologies.

The names below are LPOT's Python interface to data; they are resolved when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lpot_examples.data.lpot import (
        DATASETS,
        FILTERS,
        TRANSFORMS,
        BaseTransform,
        DataLoader,
        Dataset,
        Filter,
        IterableDataset,
        dataset_registry,
        filter_registry,
        transform_registry,
    )

_LPOT = "lpot_examples.data.lpot"
_HOMES = {
    "BaseTransform": _LPOT,
    "DATASETS": _LPOT,
    "DataLoader": _LPOT,
    "Dataset": _LPOT,
    "FILTERS": _LPOT,
    "Filter": _LPOT,
    "IterableDataset": _LPOT,
    "TRANSFORMS": _LPOT,
    "dataset_registry": _LPOT,
    "filter_registry": _LPOT,
    "transform_registry": _LPOT,
}

__all__ = [
    "DATASETS",
    "FILTERS",
    "TRANSFORMS",
    "BaseTransform",
    "DataLoader",
    "Dataset",
    "Filter",
    "IterableDataset",
    "dataset_registry",
    "filter_registry",
    "transform_registry",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
