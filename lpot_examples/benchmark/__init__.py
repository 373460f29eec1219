"""Latency of models: measured in fresh, pinned processes, interleaved round by round."""
