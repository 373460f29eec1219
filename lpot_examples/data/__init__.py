"""Datasets, image transforms and batch loaders shared by the topologies.

The names below are LPOT's Python interface to data; they are resolved when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lpot_examples.lazy import lazy

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

__getattr__, __dir__ = lazy(__name__, dict.fromkeys(__all__, "lpot_examples.data.lpot"))
