"""Datasets, transforms and filters by LPOT's names: from ``dataloader`` in the yaml to batches."""

from lpot_examples.data.pipeline.build import build_dataloader

__all__ = ["build_dataloader"]
