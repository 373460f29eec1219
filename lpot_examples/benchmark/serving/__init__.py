"""Serving figures: throughput of several instances, and latency under load (docs/serving.md)."""
