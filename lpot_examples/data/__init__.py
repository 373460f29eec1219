"""Datasets, image transforms and batch loaders shared by the topologies."""
