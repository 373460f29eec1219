"""Evaluations of models: results, metrics and the scoring of whole datasets."""
