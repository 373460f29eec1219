"""Drop nodes that pass their input on unchanged.

Conv2D ─► Identity ─► Relu      Conv2D ─► Relu
                           ══►
"""

from __future__ import annotations

from typing import Any

from lpot_examples.backends.tensorflow.graphdef import Graph

ANCHORS = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot"})


def check(graph: Graph, node: Any) -> Any:
    """Match an identity that is no output, has no control edges and reads no control flow."""
    if node.name in graph.output_nodes or len(node.input) != 1:
        return None
    source = graph.nodes[graph.data_inputs(node)[0][0]]
    # An Identity behind a Switch anchors control edges to one branch.
    if source.op in ("Switch", "RefSwitch", "Merge"):
        return None
    if any(f"^{node.name}" in reader.input for reader in graph.readers(node.name)):
        return None
    return node


def rewrite(graph: Graph, match: Any) -> None:
    """Let the readers read the identity's input."""
    graph.redirect(match.name, match.input[0])
