"""The backend-neutral description of a network: what may be quantized, and a choice made for it."""

from lpot_examples.graph.config import TuningConfig
from lpot_examples.graph.latency import Crossing, LatencyMap, Unit
from lpot_examples.graph.op_graph import Group, Op, OpGraph, Precision

__all__ = [
    "Crossing",
    "Group",
    "LatencyMap",
    "Op",
    "OpGraph",
    "Precision",
    "TuningConfig",
    "Unit",
]
