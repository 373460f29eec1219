"""Clean-up passes that run once on a copy of the fp32 graph, before anything is quantized.

Each rewrite is one module with ``check(graph, node)``, which returns a match or the reason why it
declines, and ``rewrite(graph, match)``, which changes the graph. Order matters: constants first,
because batch-norm arrives as small constant expressions, then the folds that need them.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from lpot_examples.backends.tensorflow.control_flow import conditional_nodes
from lpot_examples.backends.tensorflow.graphdef import Graph
from lpot_examples.backends.tensorflow.passes import (
    fold_batch_norm,
    fold_constants,
    fold_pad,
    remove_identities,
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


_REWRITES: tuple[tuple[str, Any], ...] = (
    ("remove_identities", remove_identities),
    ("fold_batch_norm", fold_batch_norm),
    ("fold_pad", fold_pad),
)


def clean(graph: Graph) -> PassReport:
    """Run every pass, in order, on a graph that the caller owns.

    Args:
        graph: Changed in place; its outputs compute the same values afterwards, up to fp32
            rounding.
    """
    report = PassReport()
    # Inside control flow a new constant would be in the wrong frame or branch.
    untouchable = conditional_nodes(graph).keys() | set(graph.inputs)
    report.applied["fold_constants"] = fold_constants.run(graph, untouchable)
    for name, module in _REWRITES:
        report.applied[name] = _apply(graph, module, report, untouchable)
        graph.remove_unreachable()
    return report


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
