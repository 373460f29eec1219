"""Clean-up passes that run once on a copy of the fp32 graph, before anything is quantized.

Each rewrite is one module with ``check(graph, node)``, which returns a match or the reason why it
declines, and ``rewrite(graph, match)``, which changes the graph. A pass that must see the whole
graph has a ``run`` of its own. Order matters: function bodies first, so that all else sees their
ops; then control edges and constants, because batch-norm arrives as small constant expressions;
then the layout, and the folds that need all this.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from lpot_examples.backends.tensorflow.control_flow import conditional_nodes
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.passes import (
    affine_to_depthwise,
    convert_layout,
    drop_control_edges,
    fold_batch_norm,
    fold_constants,
    fold_pad,
    fold_upsampling,
    inline_functions,
    mean_to_depthwise,
    products_to_matmul,
    remove_identities,
    strip_fake_quant,
)


@dataclass(frozen=True)
class PassReport:
    """What the passes did.

    Attributes:
        applied: How many times each pass rewrote something.
        declined: Node name to the reason why a pass that anchors there left it alone.
    """

    applied: dict[str, int] = field(default_factory=dict)
    declined: dict[str, str] = field(default_factory=dict)


class Rewrite(Protocol):
    """A module of this package that rewrites around one anchor node."""

    ANCHORS: frozenset[str]

    def check(self, graph: Graph, node: Any) -> Any:
        """Return a match, or the reason (a string) for declining, or None for 'not my case'."""

    def rewrite(self, graph: Graph, match: Any) -> None:
        """Apply the match."""


_EARLY: tuple[tuple[str, Any], ...] = (
    ("strip_fake_quant", strip_fake_quant),
    ("remove_identities", remove_identities),
)
_LATE: tuple[tuple[str, Any], ...] = (
    ("fold_batch_norm", fold_batch_norm),
    ("fold_pad", fold_pad),
)


def clean(graph: Graph) -> PassReport:
    """Run every pass, in order, on a graph that the caller owns.

    Args:
        graph: Changed in place; its outputs compute the same values afterwards, up to fp32
            rounding, and up to the rounding of FakeQuant nodes that are stripped.
    """
    report = PassReport()
    applied = report.applied
    untouchable = _untouchable(graph)
    applied["inline_functions"] = inline_functions.run(graph, untouchable, report.declined)
    if applied["inline_functions"]:
        untouchable = _untouchable(graph)
    applied["drop_control_edges"] = drop_control_edges.run(graph, untouchable)
    applied["fold_constants"] = fold_constants.run(graph, untouchable)
    _apply_all(graph, _EARLY, report, untouchable)
    applied["convert_layout"] = convert_layout.run(graph, untouchable, report.declined)
    applied["products_to_matmul"] = products_to_matmul.run(graph, untouchable, report.declined)
    _apply_all(graph, _LATE, report, untouchable)
    applied["fold_upsampling"] = fold_upsampling.run(graph, untouchable, report.declined)
    applied["mean_to_depthwise"] = mean_to_depthwise.run(graph, untouchable, report.declined)
    applied["affine_to_depthwise"] = affine_to_depthwise.run(graph, untouchable, report.declined)
    return report


def _untouchable(graph: Graph) -> Set[str]:
    """Return what is fed, or inside control flow: there, a new node could be in a wrong frame."""
    return conditional_nodes(graph).keys() | set(graph.inputs)


def _apply_all(
    graph: Graph, rewrites: tuple[tuple[str, Any], ...], report: PassReport, untouchable: Set[str]
) -> None:
    for name, module in rewrites:
        report.applied[name] = _apply(graph, module, report, untouchable)
        graph.remove_unreachable()


def _apply(graph: Graph, module: Rewrite, report: PassReport, untouchable: Set[str]) -> int:
    count = 0
    for node in graph:
        if node.op not in module.ANCHORS or node.name not in graph.nodes:
            continue
        if node.name in untouchable:
            continue
        match = module.check(graph, graph.nodes[node.name])
        if isinstance(match, str):
            report.declined[node.name] = match
        elif match is not None:
            module.rewrite(graph, match)
            count += 1
    return count
