"""``lpot.experimental.data``: data sets, transforms and filters by LPOT's names."""

from __future__ import annotations

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
