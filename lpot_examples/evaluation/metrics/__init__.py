"""Metrics: LPOT's by name (`registry`), and the functions that score predictions and labels."""
