"""A tuning configuration in Neural Compressor's terms: what to do with each op, by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lpot_examples.graph import Op, OpGraph, TuningConfig

ACTIVATION_ALGORITHMS = ("minmax", "kl")
WEIGHT_ALGORITHMS = ("minmax",)

COMPUTE = frozenset({"Conv2D", "DepthwiseConv2dNative", "MatMul"})
CARRIERS = frozenset({"ConcatV2", "MaxPool", "AvgPool"})

# Others that Neural Compressor may quantize with some versions of TensorFlow.
_OTHERS = frozenset(
    {"BatchMatMul", "BatchMatMulV2", "Conv3D", "Conv2DBackpropInput", "Conv3DBackpropInputV2"}
    | {"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "MaxPool3D"}
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What Neural Compressor is asked for. All else is int8, with weights per channel.

    Attributes:
        fp32: Names of the ops that stay fp32, sorted.
        per_tensor: Names of the ops whose weights share one scale, sorted.
        algorithm: How activation ranges are chosen: ``minmax`` or ``kl``.
        overrides: Op name to algorithm, where it differs.
        samples: How many calibration samples to use.
    """

    fp32: tuple[str, ...]
    per_tensor: tuple[str, ...]
    algorithm: str
    overrides: Mapping[str, str]
    samples: int

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form with a stable order."""
        return {
            "fp32": list(self.fp32),
            "per_tensor": list(self.per_tensor),
            "algorithm": self.algorithm,
            "overrides": dict(sorted(self.overrides.items())),
            "samples": self.samples,
        }

    def digest(self) -> str:
        """Return a short stable hash; configurations that come to the same share it."""
        return hashlib.sha256(json.dumps(self.to_dict()).encode()).hexdigest()[:16]


def as_given(op_graph: OpGraph, op_types: Mapping[str, str]) -> OpGraph:
    """Return a description of the network as it was given, before this project's clean-up.

    Args:
        op_graph: The cleaned network. Groups of ops that the clean-up made are left out.
        op_types: Type by name of every op of the network as given.
    """
    groups = tuple(
        replace(
            group,
            ops=tuple(Op(op.name, op_types[op.name]) for op in group.ops if op.name in op_types),
        )
        for group in op_graph.groups
        if op_types.get(group.name) == group.type
    )
    grouped = {op.name for group in groups for op in group.ops}
    others = tuple(
        Op(name, op) for name, op in op_types.items() if name not in grouped and op != "Const"
    )
    return OpGraph(groups, others)


class RecipeBook:
    """Writes the recipes of one network.

    Args:
        op_graph: Its groups; the others of their kind stay fp32.
        nodes: The nodes (``NodeDef``) of the network as given.
    """

    def __init__(self, op_graph: OpGraph, nodes: Iterable[Any]) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._able = {group.name for group in op_graph.quantizable}
        self._sources = {
            name: self._compute_behind(name)
            for name, node in self._nodes.items()
            if node.op in CARRIERS
        }

    def write(self, config: TuningConfig, samples: int) -> Recipe:
        """Return the recipe of a configuration.

        Pools and concatenations, which are no groups of their own, are left to Neural Compressor
        where a value they read comes from an int8 op; elsewhere quantizing them would only cost
        accuracy.

        Args:
            config: The configuration. Equalization, bias correction and weight algorithms have no
                counterpart.
            samples: How many calibration samples to use.
        """
        int8 = self._able - config.fp32
        fp32 = [
            name
            for name, node in self._nodes.items()
            if (node.op in COMPUTE and name not in int8)
            or (node.op in CARRIERS and not self._sources[name] & int8)
            or node.op in _OTHERS
        ]
        return Recipe(
            fp32=tuple(sorted(fp32)),
            per_tensor=tuple(sorted(config.per_tensor & int8)),
            algorithm=config.activation_algorithm,
            overrides={
                name: algorithm
                for name, algorithm in config.activation_overrides.items()
                if name in int8 and algorithm != config.activation_algorithm
            },
            samples=samples,
        )

    def _compute_behind(self, name: str) -> frozenset[str]:
        """Return the nearest compute ops that a node's values come from."""
        found, seen, open_names = set(), {name}, [name]
        while open_names:
            for text in self._nodes[open_names.pop()].input:
                source = text.lstrip("^").split(":")[0]
                node = self._nodes.get(source)
                if node is None or source in seen:
                    continue
                seen.add(source)
                if node.op in COMPUTE:
                    found.add(source)
                else:
                    open_names.append(source)
        return frozenset(found)
